import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { ImageSource } from '../oci/registry.ts';
import { ParentError, type ParentRegistry } from '../parent/parent.ts';
import type { RepositoryRule } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { Store } from '../store/store.ts';
import type { AheadProgress } from './ahead-progress.ts';
import { isWantedBy } from './arriving-hint.ts';
import type { BlobTransfers } from './blob-transfers.ts';
import { freshStop } from './fresh-stop.ts';
import { watchLink } from './link-watch.ts';
import { pendingChanges } from './pass.ts';

/** Brings blobs here while they still arrive at the parent, so that layers do not wait for each other's images. */
export interface FetchAhead {
  /** Begins with those that `rules` want. Nothing depends on it: what fails is left to the pass, which goes on there. */
  take(
    hints: readonly ArrivingBlob[],
    from: {
      readonly parent: Pick<ParentRegistry, 'readBlob' | 'ping' | 'answers'>;
      readonly rules: readonly RepositoryRule[];
    },
  ): void;
  /** Ends what is under way; what was received stays. */
  stop(reason: Error): void;
  /** The same; resolves when nothing runs any more. */
  close(): Promise<void>;
}

export function createFetchAhead(options: {
  readonly store: Pick<Store, 'replica' | 'outbox'>;
  readonly transfers: Pick<BlobTransfers, 'carry'>;
  readonly progress: AheadProgress;
  readonly clock: Clock;
  readonly log: Log;
  /** The parent fell silent meanwhile. */
  readonly onSilent: (reason: Error) => void;
}): FetchAhead {
  const { store, transfers, progress, clock, log, onSilent } = options;
  const { replica } = store;
  const jobs = new Set<Promise<void>>();
  let stop = freshStop();

  async function fetchAll(...[hints, { parent, rules }]: Parameters<FetchAhead['take']>): Promise<void> {
    const { signal } = stop;
    const wanted = hints.filter((hint) => isWantedBy(rules, hint));
    if (wanted.length === 0) return;
    const source = onlyWhatComes(parent);
    // A push here wins over the parent's image; without a tag there is nothing to win over.
    const pending = wanted.some(({ tag }) => tag) ? await pendingChanges(store.outbox.read()) : undefined;
    const movedBytes = (): number => progress.counts.bytesDone;
    const link = watchLink({ parent, clock, signal, movedBytes, onSilent });
    await Promise.all(
      wanted.map(async ({ repository, tag, platform, digest, size }) => {
        if (tag !== undefined && pending?.hasTag(repository, tag)) return;
        const blob = { digest, size, mediaType: 'application/octet-stream' };
        const counted = progress.begin(repository);
        const transfer = { source, target: replica, repository, blob, signal, image: { tag, platform } };
        try {
          await transfers.carry({ ...transfer, progress: counted, onStopped: () => link.doubt() }, { lane: 'ahead' });
        } catch (error) {
          log.debug('A blob did not come ahead of its image.', { repository, tag, digest, error });
        } finally {
          counted.end();
        }
      }),
    );
    await link.close();
  }

  return {
    take(...asked) {
      const job = fetchAll(...asked)
        .catch((error: unknown) => log.warn('Nothing can be fetched ahead of its image.', { error }))
        .finally(() => jobs.delete(job));
      jobs.add(job);
    },
    stop(reason) {
      stop.abort(reason);
      stop = freshStop();
    },
    async close() {
      stop.abort(new Error('the sync engine is closing'));
      await Promise.all(jobs);
    },
  };
}

/** A parent that no longer brings a blob is no reason to throw away what came of it. */
function onlyWhatComes(parent: Pick<ParentRegistry, 'readBlob'>): Pick<ImageSource, 'readBlob'> {
  return {
    async readBlob(repository, digest, options) {
      const content = await parent.readBlob(repository, digest, { ...options, arriving: true });
      if (!content) throw new ParentError('refused', `${digest} is not on its way to the parent any more`);
      return content;
    },
  };
}
