import type { Clock } from './status/clock.ts';
import type { Log } from './status/log.ts';
import type { Store } from './store/store.ts';

export interface HousekeepingOptions {
  readonly store: Pick<Store, 'freeBytes' | 'journal'>;
  /** How long changes are kept for children, in milliseconds. */
  readonly messageTtlMs: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly onMeasured: () => void;
}

/** What has to be looked at again and again, whatever else happens. */
export interface Housekeeping {
  /** Of the disk under the data volume, when it was last measured. */
  readonly freeBytes: number;
  close(): Promise<void>;
}

const intervalMs = 60_000;

/** Once a minute: measures the disk, and forgets changes that are older than the message TTL. */
export async function startHousekeeping(options: HousekeepingOptions): Promise<Housekeeping> {
  const { store, messageTtlMs, clock, log, onMeasured } = options;
  const closing = new AbortController();
  let freeBytes = await store.freeBytes();
  const running = run();

  return {
    get freeBytes() {
      return freeBytes;
    },
    async close() {
      closing.abort(new Error('closing'));
      await running;
    },
  };

  async function run(): Promise<void> {
    for (;;) {
      try {
        await clock.wait(intervalMs, closing.signal);
        freeBytes = await store.freeBytes();
        await store.journal.expire(new Date(clock.now().getTime() - messageTtlMs()));
        onMeasured();
      } catch (error) {
        if (closing.signal.aborted) return;
        log.error('the disk cannot be measured or old changes cannot be forgotten', { error });
      }
    }
  }
}
