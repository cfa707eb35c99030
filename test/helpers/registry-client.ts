import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import type { Account } from './pull-image.ts';
import { RecordingLog } from './recording-log.ts';

/** The product's own client, for pushing to any registry at `endpoint` (host:port, plain HTTP). The caller closes it. */
export function connectTo(endpoint: string, account: Account): ParentRegistry {
  return connectParent({
    endpoint,
    protocol: 'http',
    credentials: account,
    clock: systemClock,
    log: new RecordingLog(),
  });
}
