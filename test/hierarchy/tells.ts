import type { Layer, ReportedProgress } from '../helpers/layer.ts';
import { until } from '../helpers/until.ts';

/** The part of the reported properties that these tests read. */
export interface Told {
  readonly inSync: boolean;
  readonly connectionState: string;
  readonly statusDetails: readonly { readonly code: string }[];
  readonly outbox: { readonly pending: number };
  readonly registrySyncResult: { readonly syncTrigger: string; readonly syncState: string };
  readonly syncProgress: ReportedProgress;
}

/** What the direct method `status` answers, once it is so: sooner than the reported properties, which go in steps of 5 s. */
export function tells(layer: Layer, what: string, condition: (told: Told) => boolean, limitMs?: number): Promise<Told> {
  return until(
    `${layer.name} tells ${what}`,
    async () => {
      const told = (await layer.site.hub.invokeMethod('registry', 'status')).payload as Told;
      return condition(told) && told;
    },
    limitMs,
  );
}
