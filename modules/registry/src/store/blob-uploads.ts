import { randomUUID } from 'node:crypto';
import { RegistryError } from '../errors.ts';
import { algorithmOf } from '../oci/digest.ts';
import type { ImageTarget } from '../oci/registry.ts';
import type { Clock } from '../status/clock.ts';
import { blobUploadId, isSessionId } from './layout.ts';
import { createLiveUploads } from './live-uploads.ts';
import { isPresent, presentBlob, type BlobPlace } from './place-blob.ts';
import { asStorageError } from './storage-error.ts';
import type { Uploads } from './store.ts';
import { createTurns } from './turns.ts';
import { createUploadContent } from './upload-content.ts';
import { offsetOf } from './upload-progress.ts';
import { createSessions } from './upload-session.ts';

export interface BlobUploadsOptions extends BlobPlace {
  /** Throws STORAGE_FULL when no more bytes should be taken. */
  readonly ensureRoom: () => Promise<void>;
  readonly clock: Clock;
}

export interface BlobUploads {
  readonly sessions: Uploads;
  /**
   * The one upload of this digest, over repositories and restarts. While somebody holds it, others wait until
   * that one commits, cancels or releases. The bytes of a blob that is here already are not taken again.
   */
  readonly beginBlob: ImageTarget['beginBlob'];
  /** Every upload there is, those without a row and a file too. */
  ids(): AsyncIterable<string>;
  /** Whether there is such an upload. */
  has(id: string): boolean;
  /** Keeps `beginBlob` from this upload until the result is called; undefined while somebody has it. */
  tryTake(id: string): (() => void) | undefined;
  /**
   * Discards the upload when nobody has it and nothing came since `before`; the bytes that frees.
   * A dry run only says so.
   */
  abandon(id: string, before: Date, dryRun: boolean): Promise<number | undefined>;
  /** Stops appends, keeping what arrived; waits for commits. */
  close(): Promise<void>;
}

export function createBlobUploads(options: BlobUploadsOptions): BlobUploads {
  const { clock } = options;
  const live = createLiveUploads(options);
  const content = createUploadContent({ ...options, live });
  const turns = createTurns();
  const sessionOf = createSessions({ live, content, clock });

  return {
    sessions: {
      /** Nothing is written before there are bytes: a session lost in a crash by then lost nothing. */
      begin: (repository, { algorithm = 'sha256' } = {}) =>
        Promise.resolve(sessionOf(live.start(randomUUID(), { repository, algorithm }), repository)),

      async find(repository, id) {
        const row = isSessionId(id) ? live.rowOf(id) : undefined;
        const progress = row?.repository === repository ? await live.resume(id) : undefined;
        return progress && sessionOf(progress, repository);
      },
    },

    async beginBlob(repository, { digest, size }, { signal } = {}) {
      const id = blobUploadId(digest);
      const endTurn = await turns.take(id, signal);
      try {
        if (await isPresent(options, digest, size)) {
          return presentBlob(options, { id, isRecorded: true, repository, digest, sizeBytes: size }, endTurn);
        }
        const row = { repository, algorithm: algorithmOf(digest), digest };
        const progress = (await live.resume(id)) ?? live.start(id, row);
        return sessionOf(progress, repository, { limitBytes: size, endTurn });
      } catch (error) {
        endTurn();
        throw asStorageError(error);
      }
    },

    ids: () => live.ids(),

    has: (id) => live.rowOf(id) !== undefined,

    tryTake: (id) => turns.tryTake(id),

    async abandon(id, before, dryRun) {
      if ((await content.lastActivity(id)) > before) return undefined;
      const endTurn = turns.tryTake(id);
      if (!endTurn) return undefined;
      try {
        const progress = await live.resume(id);
        if (!progress || progress.work || progress.isOver) return undefined;
        return await live.run(progress, async () => {
          // asked again, now that nobody can add to it
          const freedBytes = (await content.lastActivity(id)) <= before ? offsetOf(progress) : undefined;
          if (freedBytes !== undefined && !dryRun) await content.discard(progress);
          return freedBytes;
        });
      } finally {
        endTurn();
      }
    },

    async close() {
      const reason = new RegistryError('UNAVAILABLE', { message: 'the store is closed' });
      turns.close(reason);
      await live.close(reason, async (progress) => {
        await content.letGo(progress);
        await progress.syncing;
      });
    },
  };
}
