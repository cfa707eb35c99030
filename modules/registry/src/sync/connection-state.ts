import type { ConnectionState } from '../status/sync-status.ts';
import { detailTable, type DetailCode } from './details.ts';

/**
 * `Syncing`: a pass is at work and the parent answers · `Unhealthy`: somebody has to do something ·
 * `Offline`: the parent does not answer, was not asked yet, or may not be asked (inactive).
 * A registry without a parent is the top: always `Online`.
 */
export function connectionStateOf(options: {
  readonly hasParent: boolean;
  readonly active: boolean;
  /** The parent has answered since it was connected. */
  readonly contacted: boolean;
  readonly syncing: boolean;
  readonly details: readonly { readonly code: DetailCode }[];
}): ConnectionState {
  const { hasParent, active, contacted, syncing, details } = options;
  if (!active) return 'Offline';
  if (!hasParent) return 'Online';
  if (syncing) return 'Syncing';
  const effects = details.map(({ code }) => detailTable[code].effect);
  if (effects.includes('offline')) return 'Offline';
  if (effects.includes('unhealthy')) return 'Unhealthy';
  return contacted ? 'Online' : 'Offline';
}
