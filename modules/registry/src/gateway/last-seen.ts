import type { Log } from '../status/log.ts';
import type { RegisterRecords } from './activation-register.ts';

/** When each child last told how it is, over restarts of this registry. */
export interface LastSeen {
  of(key: string): Date | undefined;
  /** Written down at most once in five minutes for each child: what a restart forgets is no longer than that. Never rejects. */
  note(key: string, at: Date): Promise<void>;
  /** Forgets every key that is not among `keys`. Never rejects. */
  keepOnly(keys: ReadonlySet<string>): Promise<void>;
}

const recordKey = 'gateway-last-seen';
const writeEveryMs = 5 * 60_000;

export async function openLastSeen(options: {
  readonly records: RegisterRecords;
  readonly log: Log;
}): Promise<LastSeen> {
  const { records, log } = options;
  const written = new Map(Object.entries(((await records.get(recordKey)) ?? {}) as Readonly<Record<string, string>>));

  async function write(): Promise<void> {
    try {
      await records.put(recordKey, Object.fromEntries(written));
    } catch (error) {
      log.warn('When children were last seen could not be written down.', { error });
    }
  }

  return {
    of(key) {
      const at = written.get(key);
      return at === undefined ? undefined : new Date(at);
    },
    async note(key, at) {
      const before = written.get(key);
      if (before !== undefined && Math.abs(at.getTime() - new Date(before).getTime()) < writeEveryMs) return;
      written.set(key, at.toISOString());
      await write();
    },
    async keepOnly(keys) {
      const gone = [...written.keys()].filter((key) => !keys.has(key));
      for (const key of gone) written.delete(key);
      if (gone.length > 0) await write();
    },
  };
}
