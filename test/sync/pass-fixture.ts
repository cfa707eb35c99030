import { MemoryLevel } from 'memory-level';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import type { RepositoryRule } from '../../modules/registry/src/settings/settings.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { createBlobTransfers } from '../../modules/registry/src/sync/blob-transfers.ts';
import { createDetails } from '../../modules/registry/src/sync/details.ts';
import type { Pass } from '../../modules/registry/src/sync/pass.ts';
import { createPassProgress } from '../../modules/registry/src/sync/progress.ts';
import { runPass, type PassEnd } from '../../modules/registry/src/sync/run-pass.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';
import { MemoryRegistry } from './memory-registry.ts';

/** A real store below a parent in memory, and passes between them. */
export interface Site {
  readonly store: Store;
  readonly parent: MemoryRegistry;
  readonly clock: ManualClock;
  readonly pass: (
    options?: Partial<Pick<Pass, 'mode' | 'rules'>> & { drainOnly?: boolean },
  ) => Promise<PassEnd['state']>;
  /** Their codes. */
  readonly details: () => string[];
  /** `state tagsInSync/tagsTotal` by repository. */
  readonly rows: () => Record<string, string>;
  /** Entries in the outbox. */
  readonly pending: () => Promise<number>;
}

export function rules(...names: string[]): RepositoryRule[] {
  return names.map((name) => ({ name: parseRepositoryPattern(name)!, tags: [], platforms: [] }));
}

export function withSite(
  body: (site: Site) => Promise<void>,
  storeOptions: { readonly reserveBytes?: number } = {},
): Promise<void> {
  return withTemporaryDirectory(async (directory) => {
    const clock = new ManualClock();
    const log = new RecordingLog();
    const store = await openStore({
      directory,
      clock,
      log,
      index: new MemoryLevel(),
      carries: () => true,
      ...storeOptions,
    });
    const parent = new MemoryRegistry();
    const details = createDetails({ clock });
    const transfers = createBlobTransfers({ clock, log, random: () => 0 });
    let progress = createPassProgress({ onChange: () => undefined });
    let passes = 0;
    await body({
      store,
      parent,
      clock,
      async pass({ mode = 'ReadWrite', rules: given = rules('plant/*'), drainOnly = false } = {}) {
        progress = createPassProgress({ onChange: () => undefined });
        details.beginPass(String(++passes));
        const { state } = await runPass({
          parts: {
            store,
            parent,
            mode,
            rules: given,
            messageTtlMs: 1000,
            concurrency: 2,
            thorough: false,
            clock,
            log,
            transfers,
            details,
            progress,
          },
          drainOnly,
          closes: undefined,
          stop: new AbortController().signal,
          onParentAnswered: () => undefined,
          feed: { isThere: () => false, since: undefined, onExpired: async () => undefined },
        });
        return state;
      },
      details: () => details.list().map(({ code }) => code),
      rows: () =>
        Object.fromEntries(
          progress.repositories.map(({ name, state, tagsInSync, tagsTotal }) => [
            name,
            `${state} ${tagsInSync}/${tagsTotal}`,
          ]),
        ),
      pending: async () => (await store.outbox.pending()).count,
    });
    await store.close();
  });
}
