import type { Log } from '../status/log.ts';
import type { RegisterRecords } from './activation-register.ts';

/** When each child last told how it is, over restarts of this registry. */
export interface LastSeen {
  of(key: string): Date | undefined;
  /** Written down at most once in five minutes for each child: what a restart forgets is no longer than that. Never rejects. */
  note(key: string, at: Date): Promise<void>;
}

const recordKey = 'gateway-last-seen';
const writeEveryMs = 5 * 60_000;

export async function openLastSeen(options: {
  readonly records: RegisterRecords;
  readonly log: Log;
}): Promise<LastSeen> {
  const { records, log } = options;
  const written = new Map(Object.entries(((await records.get(recordKey)) ?? {}) as Readonly<Record<string, string>>));

  return {
    of(key) {
      const at = written.get(key);
      return at === undefined ? undefined : new Date(at);
    },
    async note(key, at) {
      const before = written.get(key);
      if (before !== undefined && Math.abs(at.getTime() - new Date(before).getTime()) < writeEveryMs) return;
      written.set(key, at.toISOString());
      try {
        await records.put(recordKey, Object.fromEntries(written));
      } catch (error) {
        log.warn('When a child was last seen could not be written down.', { error });
      }
    },
  };
}
