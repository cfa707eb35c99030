import { randomUUID } from 'node:crypto';
import { RegistryError } from '../errors.ts';
import { algorithmOf, type DigestAlgorithm } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ImageTarget } from '../oci/registry.ts';
import { appendToFile } from './append-file.ts';
import { fileSize, fileTime, removeFile } from './durable-files.ts';
import { blobPath, blobUploadId, isSessionId, uploadPath } from './layout.ts';
import { placeBlob, presentBlob, type BlobPlace } from './place-blob.ts';
import type { UploadRow } from './rows.ts';
import { asStorageError } from './storage-error.ts';
import type { Uploads, UploadSession } from './store.ts';
import { createTurns } from './turns.ts';
import { alone, createProgress, digestOfUpload, hashPieces, type Progress } from './upload-progress.ts';

export interface BlobUploadsOptions extends BlobPlace {
  /** Throws STORAGE_FULL when no more bytes should be taken. */
  readonly ensureRoom: () => Promise<void>;
}

export interface BlobUploads {
  readonly sessions: Uploads;
  /**
   * The one upload of this digest, over repositories and restarts. While somebody holds it, others wait until
   * that one commits, cancels or releases. The bytes of a blob that is here already are not taken again.
   */
  readonly beginBlob: ImageTarget['beginBlob'];
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
  const { directory, tables, commit, ensureRoom } = options;
  const live = new Map<string, Progress>();
  const running = new Set<Promise<unknown>>();
  const appends = new Set<AbortController>();
  const turns = createTurns();
  const closedError = new RegistryError('UNAVAILABLE', { message: 'the store is closed' });
  let isClosed = false;

  return {
    sessions: {
      async begin(repository, { algorithm = 'sha256' } = {}) {
        const progress = await start(randomUUID(), { repository, algorithm });
        return sessionOf(progress, repository);
      },

      async find(repository, id) {
        if (!isSessionId(id) || tables.upload.getSync(id)?.repository !== repository) return undefined;
        const progress = await resume(id);
        return progress && sessionOf(progress, repository);
      },
    },

    async beginBlob(repository, { digest, size }, { signal } = {}) {
      const id = blobUploadId(digest);
      const endTurn = await turns.take(id, signal);
      try {
        if ((await fileSize(blobPath(directory, digest))) === size) {
          return presentBlob(options, { id, repository, digest, sizeBytes: size }, endTurn);
        }
        const progress =
          (await resume(id)) ?? (await start(id, { repository, algorithm: algorithmOf(digest), digest }));
        return sessionOf(progress, repository, { limitBytes: size, endTurn });
      } catch (error) {
        endTurn();
        throw asStorageError(error);
      }
    },

    tryTake: (id) => turns.tryTake(id),

    async abandon(id, before, dryRun) {
      if ((await lastActivity(id)) > before) return undefined;
      const endTurn = turns.tryTake(id);
      if (!endTurn) return undefined;
      try {
        const progress = await resume(id);
        if (!progress || progress.isBusy || progress.isOver) return undefined;
        return await run(progress, async () => {
          // asked again, now that nobody can add to it
          const freedBytes = (await lastActivity(id)) <= before ? progress.offset : undefined;
          if (freedBytes !== undefined && !dryRun) await discard(progress);
          return freedBytes;
        });
      } finally {
        endTurn();
      }
    },

    async close() {
      isClosed = true;
      turns.close(closedError);
      for (const append of appends) append.abort(closedError);
      await Promise.allSettled(running);
    },
  };

  /** Not synced: losing an upload that has only begun, in a power cut, loses nothing that was acknowledged. */
  async function start(id: string, row: Omit<UploadRow, 'started'>): Promise<Progress> {
    await removeFile(uploadPath(directory, id));
    await commit.transact((write) => write.put(tables.upload, id, { ...row, started: write.now.toISOString() }), {
      durable: false,
    });
    return remember(id, row.algorithm, 0);
  }

  async function resume(id: string): Promise<Progress | undefined> {
    const sizeBytes = (await fileSize(uploadPath(directory, id))) ?? 0;
    const row = tables.upload.getSync(id); // read after the wait: the upload may have ended meanwhile
    return row && (live.get(id) ?? remember(id, row.algorithm, sizeBytes));
  }

  function remember(id: string, algorithm: DigestAlgorithm, offset: number): Progress {
    const progress = createProgress(id, algorithm, offset);
    live.set(id, progress);
    return progress;
  }

  function sessionOf(
    progress: Progress,
    repository: RepositoryName,
    { limitBytes = Infinity, endTurn = (): void => undefined } = {},
  ): UploadSession {
    const { id } = progress;
    const path = uploadPath(directory, id);
    return {
      id,
      get offset() {
        return progress.offset;
      },
      append: (content, { signal } = {}) =>
        run(progress, async () => {
          const stop = stopWith(signal);
          try {
            await appendToFile({
              path,
              offset: progress.offset,
              content,
              signal: stop.signal,
              limitBytes,
              ensureRoom,
              onWriting: (pieces, position) => hashPieces(progress, pieces, position),
              onWritten(sizeBytes) {
                progress.offset += sizeBytes;
              },
            });
          } finally {
            stop.forget();
          }
        }),
      commit: (digest) =>
        run(progress, async () => {
          const computed = progress.verified ?? (await digestOfUpload(progress, path, algorithmOf(digest)));
          if (computed === digest) {
            progress.verified = digest;
            await placeBlob(options, { id, repository, digest, sizeBytes: progress.offset });
            end(progress);
            endTurn();
          } else {
            await discard(progress);
            endTurn();
            throw new RegistryError('DIGEST_INVALID', { detail: { provided: digest, computed } });
          }
        }),
      cancel: () => run(progress, () => discard(progress)).then(endTurn),
      release: () => Promise.resolve().then(endTurn),
    };
  }

  /** Of bytes that arrived; of its begin when none did. */
  async function lastActivity(id: string): Promise<Date> {
    const changed = await fileTime(uploadPath(directory, id));
    return changed ?? new Date(tables.upload.getSync(id)?.started ?? 0);
  }

  async function discard(progress: Progress): Promise<void> {
    await commit.transact((write) => write.delete(tables.upload, progress.id), { durable: false });
    end(progress);
    await removeFile(uploadPath(directory, progress.id));
  }

  function end(progress: Progress): void {
    progress.isOver = true;
    live.delete(progress.id);
  }

  /** Work on an upload, alone, waited for by `close`. */
  async function run<T>(progress: Progress, work: () => Promise<T>): Promise<T> {
    if (isClosed) throw closedError;
    const task = alone(progress, work);
    running.add(task);
    try {
      return await task;
    } catch (error) {
      throw asStorageError(error);
    } finally {
      running.delete(task);
    }
  }

  /** Fires with `signal`, or when the store closes. */
  function stopWith(signal: AbortSignal | undefined) {
    const controller = new AbortController();
    const abort = (): void => controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    appends.add(controller);
    const forget = (): void => {
      signal?.removeEventListener('abort', abort);
      appends.delete(controller);
    };
    return { signal: controller.signal, forget };
  }
}
