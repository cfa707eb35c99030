import { digestOf } from '../oci/digest.ts';
import type { ParentSettings, Settings } from '../settings/settings.ts';

/** What the engine was last told to do. */
export interface Wanted {
  readonly settings: Settings;
  readonly parent: ParentSettings | undefined;
  readonly active: boolean;
  /** What is to be synced, with whom: a pass made under another key says nothing. Holds no secret, may be stored. */
  readonly syncKey: string;
}

export function wantedFrom(settings: Settings, active: boolean): Wanted {
  const { mode, repositories, parent } = settings;
  const from = parent && [parent.protocol, parent.gatewayEndpoint];
  const syncKey = digestOf(Buffer.from(JSON.stringify({ mode, repositories, from })));
  return { settings, parent, active, syncKey };
}

/** Another key needs another connection. A secret: for comparison in memory only. */
export function connectionKey({ protocol, gatewayEndpoint, syncToken }: ParentSettings): string {
  return JSON.stringify([protocol, gatewayEndpoint, syncToken?.name, syncToken?.password]);
}

/** The weightiest thing that changed for syncing; `none` leaves a running pass alone. */
export function changeBetween(
  before: Wanted | undefined,
  after: Wanted,
): 'none' | 'what or when' | 'credentials' | 'parent' {
  if (!before) return 'what or when';
  if (before.parent && after.parent) {
    const [old, now] = [before.parent, after.parent];
    if (old.gatewayEndpoint !== now.gatewayEndpoint || old.protocol !== now.protocol) return 'parent';
    if (connectionKey(old) !== connectionKey(now)) return 'credentials';
  }
  const whatAndWhen = ({ syncKey, active, parent }: Wanted): string =>
    JSON.stringify([syncKey, active, parent?.syncProperties]);
  return whatAndWhen(before) === whatAndWhen(after) ? 'none' : 'what or when';
}
