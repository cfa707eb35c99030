import { Readable } from 'node:stream';
import { openStore, type OpenStoreOptions } from '../../modules/registry/src/store/open-store.ts';
import type { Change, Store } from '../../modules/registry/src/store/store.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';

export interface StoreTest {
  readonly store: Store;
  readonly directory: string;
  readonly clock: ManualClock;
  readonly log: RecordingLog;
  /** Closes the store and opens it again, as a restart does. */
  readonly reopen: () => Promise<Store>;
}

/** Gives `body` a store on LevelDB in an empty directory; closes and removes it afterwards. */
export function withStore(
  body: (test: StoreTest) => Promise<void>,
  options: Partial<OpenStoreOptions> = {},
): () => Promise<void> {
  return () =>
    withTemporaryDirectory(async (directory) => {
      const [clock, log] = [new ManualClock(), new RecordingLog()];
      const open = (): Promise<Store> => openStore({ directory, clock, log, ...options });
      let store = await open();
      const reopen = async (): Promise<Store> => {
        await store.close();
        store = await open();
        return store;
      };
      try {
        await body({ store, directory, clock, log, reopen });
      } finally {
        await store.close();
      }
    });
}

export function contentOf(...pieces: (Buffer | string)[]): Readable {
  return Readable.from(pieces.map((piece) => Buffer.from(piece)));
}

/** A change in one line: `push plant:1`. */
export function brief({ action, repository, tag }: Change): string {
  return `${action} ${repository}${tag === undefined ? '' : `:${tag}`}`;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The code of the error that `promise` must reject with; `undefined` when it is not ours. */
export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    return (error as { code?: string }).code;
  }
  throw new Error('expected a rejection');
}
