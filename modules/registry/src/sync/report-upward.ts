import type { ChildReport, ParentRegistry } from '../parent/parent.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';

/** Between two looks at whether there is something new to tell. */
const intervalMs = 5_000;
/** Shows the parent that we are still there. */
const heartbeatMs = 10 * 60_000;

/**
 * Tells the parent how this registry is until `signal`: when that has changed, at most every five seconds, and at least
 * every ten minutes. The time of the last sync alone is no news. Never rejects.
 */
export async function reportUpward(options: {
  readonly parent: Pick<ParentRegistry, 'reportStatus'>;
  readonly describe: () => ChildReport;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<void> {
  const { parent, describe, signal, clock, log } = options;
  let told = '';
  let toldMs = -Infinity;
  while (!signal.aborted) {
    const report = describe();
    const news = JSON.stringify({ ...report, lastSync: undefined });
    const nowMs = clock.now().getTime();
    if (news !== told || Math.abs(nowMs - toldMs) >= heartbeatMs) {
      try {
        await parent.reportStatus(report, { signal });
        [told, toldMs] = [news, nowMs];
      } catch (error) {
        log.debug('The parent could not be told how this registry is.', { error });
      }
    }
    await clock.wait(intervalMs, signal).catch(() => undefined);
  }
}
