import { MemoryLevel } from 'memory-level';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import type { Digest } from '../../modules/registry/src/oci/digest.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import type { RemovalSettings, RepositoryRule } from '../../modules/registry/src/settings/settings.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { createBlobTransfers } from '../../modules/registry/src/sync/blob-transfers.ts';
import { createDetails } from '../../modules/registry/src/sync/details.ts';
import type { Pass } from '../../modules/registry/src/sync/pass.ts';
import { createPassProgress } from '../../modules/registry/src/sync/progress.ts';
import { createRemovalGuard } from '../../modules/registry/src/sync/removal-guard.ts';
import { runPass, type PassEnd } from '../../modules/registry/src/sync/run-pass.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';
import { loseBlob } from '../store/lose-blob.ts';
import { MemoryRegistry } from './memory-registry.ts';

export interface SiteOptions {
  readonly reserveBytes?: number;
  readonly removal?: RemovalSettings;
  /** The parent of the passes, in place of the one in memory. */
  readonly connect?: (options: { readonly clock: ManualClock; readonly log: RecordingLog }) => ParentRegistry;
  /** Whether pushes go into the outbox; by default they do. */
  readonly carries?: () => boolean;
}

/** A real store below a parent in memory, and passes between them. */
export interface Site {
  readonly store: Store;
  readonly parent: MemoryRegistry;
  readonly clock: ManualClock;
  readonly pass: (
    options?: Partial<Pick<Pass, 'mode' | 'rules' | 'thorough'>> & { drainOnly?: boolean; confirmRemoval?: boolean },
  ) => Promise<PassEnd['state']>;
  /** Their codes. */
  readonly details: () => string[];
  /** `state tagsInSync/tagsTotal` by repository. */
  readonly rows: () => Record<string, string>;
  /** `[bytesDone, bytesTotal]` by repository, where anything crossed the link. */
  readonly bytes: () => Record<string, readonly [number, number]>;
  /** The repository has not got this blob any more, as after damage; no client can take away what an image needs. */
  readonly lose: (repository: RepositoryName, digest: Digest) => Promise<void>;
  /** Entries in the outbox. */
  readonly pending: () => Promise<number>;
}

export function rules(...names: string[]): RepositoryRule[] {
  return names.map((name) => ({ name: parseRepositoryPattern(name)!, tags: [], platforms: [] }));
}

export function withSite(
  body: (site: Site) => Promise<void>,
  { removal = { freeTags: 20, maxPercent: 50 }, connect, ...storeOptions }: SiteOptions = {},
): Promise<void> {
  return withTemporaryDirectory(async (directory) => {
    const clock = new ManualClock();
    const log = new RecordingLog();
    const index = new MemoryLevel();
    const store = await openStore({
      directory,
      clock,
      log,
      index,
      carries: () => true,
      ...storeOptions,
    });
    const parent = new MemoryRegistry();
    const connected = connect?.({ clock, log }) ?? parent;
    const details = createDetails({ clock });
    const transfers = createBlobTransfers({ clock, log, random: () => 0 });
    let progress = createPassProgress({ onChange: () => undefined });
    const guard = createRemovalGuard({ records: store.records, clock });
    let passes = 0;
    await body({
      store,
      parent,
      clock,
      async pass({
        mode = 'ReadWrite',
        rules: given = rules('plant/*'),
        drainOnly = false,
        confirmRemoval = false,
        thorough = false,
      } = {}) {
        progress = createPassProgress({ onChange: () => undefined });
        details.beginPass(String(++passes));
        const { state } = await runPass({
          parts: {
            store,
            parent: connected,
            mode,
            rules: given,
            messageTtlMs: 1000,
            concurrency: 2,
            thorough,
            clock,
            log,
            transfers,
            details,
            progress,
          },
          removal: { guard, limits: removal, confirmed: confirmRemoval },
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
      bytes: () =>
        Object.fromEntries(
          progress.repositories
            .filter(({ bytesTotal }) => bytesTotal !== undefined)
            .map(({ name, bytesDone = 0, bytesTotal = 0 }) => [name, [bytesDone, bytesTotal]]),
        ),
      lose: (repository, digest) => loseBlob(index, repository, digest),
      pending: async () => (await store.outbox.pending()).count,
    });
    await connected.close();
    await store.close();
  });
}
