import { randomUUID } from 'node:crypto';
import { RegistryError } from '../errors.ts';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ImageTarget } from '../oci/registry.ts';
import type { Clock } from '../status/clock.ts';
import { appendContent, openUploadFile } from './append-file.ts';
import { fileSize, fileTime, readFilePart, readSmallFile, removeFile, writeSmallFile } from './durable-files.ts';
import { blobUploadId, isSessionId, smallBlobBytes, uploadPath } from './layout.ts';
import { isPresent, placeFileBlob, placeSmallBlob, presentBlob, type BlobPlace } from './place-blob.ts';
import type { UploadRow } from './rows.ts';
import { asStorageError } from './storage-error.ts';
import type { Uploads, UploadSession } from './store.ts';
import { createTurns } from './turns.ts';
import {
  alone,
  createProgress,
  digestOfUpload,
  hashPieces,
  noteWritten,
  nothingHeld,
  offsetOf,
  readUnwritten,
  type Progress,
} from './upload-progress.ts';

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
  const { directory, tables, commit, ensureRoom, clock } = options;
  const live = new Map<string, Progress>();
  const running = new Set<Promise<unknown>>();
  const appends = new Set<AbortController>();
  const turns = createTurns();
  const closedError = new RegistryError('UNAVAILABLE', { message: 'the store is closed' });
  let isClosed = false;

  return {
    sessions: {
      /** Nothing is written before there are bytes: a session lost in a crash by then lost nothing. */
      begin: (repository, { algorithm = 'sha256' } = {}) =>
        Promise.resolve(sessionOf(start(randomUUID(), { repository, algorithm }), repository)),

      async find(repository, id) {
        const row = isSessionId(id) ? rowOf(id) : undefined;
        const progress = row?.repository === repository ? await resume(id) : undefined;
        return progress && sessionOf(progress, repository);
      },
    },

    async beginBlob(repository, { digest, size }, { signal } = {}) {
      const id = blobUploadId(digest);
      const endTurn = await turns.take(id, signal);
      try {
        if (await isPresent(options, digest, size)) {
          return presentBlob(options, { id, repository, digest, sizeBytes: size }, endTurn);
        }
        const row = { repository, algorithm: algorithmOf(digest), digest };
        const progress = (await resume(id)) ?? start(id, row);
        return sessionOf(progress, repository, { limitBytes: size, endTurn });
      } catch (error) {
        endTurn();
        throw asStorageError(error);
      }
    },

    async *ids() {
      yield* [...live.keys()];
      for await (const id of tables.upload.keys()) if (!live.has(id)) yield id;
    },

    has: (id) => rowOf(id) !== undefined,

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
          const freedBytes = (await lastActivity(id)) <= before ? offsetOf(progress) : undefined;
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
      for (const progress of live.values()) await letGo(progress).catch(() => undefined); // as after a crash
    },
  };

  function rowOf(id: string): UploadRow | undefined {
    return live.get(id)?.row ?? tables.upload.getSync(id);
  }

  function start(id: string, row: Omit<UploadRow, 'started'>): Progress {
    if (isClosed) throw closedError;
    return remember(createProgress(id, { ...row, started: clock.now().toISOString() }));
  }

  async function resume(id: string): Promise<Progress | undefined> {
    const known = live.get(id);
    if (known) return known;
    const storedBytes = (await fileSize(uploadPath(directory, id))) ?? 0;
    const row = tables.upload.getSync(id); // read after the wait: the upload may have ended meanwhile
    return live.get(id) ?? (row && remember(createProgress(id, row, { storedBytes })));
  }

  function remember(progress: Progress): Progress {
    live.set(progress.id, progress);
    return progress;
  }

  /** Not synced: losing the row in a power cut loses nothing that was acknowledged. */
  async function record(progress: Progress): Promise<void> {
    if (progress.isRecorded) return;
    await commit.transact((write) => write.put(tables.upload, progress.id, progress.row), { durable: false });
    progress.isRecorded = true;
  }

  async function append(
    progress: Progress,
    content: AsyncIterable<Uint8Array>,
    limits: { readonly signal: AbortSignal; readonly limitBytes: number },
  ): Promise<void> {
    let recording: Promise<void> | undefined;
    progress.unwritten = progress.held.length > 0 ? [progress.held] : [];
    const held = await appendContent(
      {
        ...{ storedBytes: progress.storedBytes, held: progress.held },
        async open() {
          recording = record(progress);
          recording.catch(() => undefined);
          return (progress.file ??= await openUploadFile(uploadPath(directory, progress.id), progress.storedBytes));
        },
        onReceived: (piece) => progress.unwritten.push(piece),
        onWriting: (pieces, position) => hashPieces(progress, pieces, position),
        onWritten: (sizeBytes) => noteWritten(progress, sizeBytes),
      },
      { ...limits, content, ensureRoom },
    );
    if (held) progress.held = held;
    await recording;
  }

  async function read(progress: Progress, buffer: Uint8Array, position: number): Promise<number> {
    const { storedBytes, file, id } = progress;
    if (position >= storedBytes) return readUnwritten(progress, buffer, position);
    const part = buffer.subarray(0, storedBytes - position);
    if (file) return (await file.read(part, 0, part.length, position)).bytesRead;
    return readFilePart(uploadPath(directory, id), part, position);
  }

  /** What was only in memory is in the file, so that idle uploads cost none, and a killed process loses nothing. */
  async function letGo(progress: Progress): Promise<void> {
    const { held, id } = progress;
    if (held.length > 0) {
      await record(progress);
      await writeSmallFile(uploadPath(directory, id), held);
      hashPieces(progress, [held], 0);
      progress.storedBytes = held.length;
      progress.held = nothingHeld;
    }
    await closeFile(progress);
  }

  async function closeFile(progress: Progress): Promise<void> {
    const { file } = progress;
    progress.file = undefined;
    await file?.close();
  }

  async function place(progress: Progress, repository: RepositoryName, digest: Digest): Promise<void> {
    const { id, storedBytes: sizeBytes } = progress;
    const path = uploadPath(directory, id);
    const algorithm = algorithmOf(digest);
    if (sizeBytes <= smallBlobBytes) {
      const bytes = sizeBytes > 0 ? await readSmallFile(path) : progress.held;
      await verify(progress, digest, digestOf(bytes, algorithm));
      await placeSmallBlob(options, { id, repository, digest }, bytes);
      await closeFile(progress);
      if (progress.isRecorded) await removeFile(path);
    } else {
      await verify(progress, digest, progress.verified ?? (await digestOfUpload(progress, path, algorithm)));
      progress.verified = digest;
      try {
        await placeFileBlob(options, { id, repository, digest, sizeBytes }, progress.file);
      } finally {
        await closeFile(progress); // a repetition has to look where the bytes are
      }
    }
    end(progress);
  }

  async function verify(progress: Progress, provided: Digest, computed: Digest): Promise<void> {
    if (computed === provided) return;
    await discard(progress);
    throw new RegistryError('DIGEST_INVALID', { detail: { provided, computed } });
  }

  function sessionOf(
    progress: Progress,
    repository: RepositoryName,
    { limitBytes = Infinity, endTurn = (): void => undefined } = {},
  ): UploadSession {
    return {
      id: progress.id,
      get offset() {
        return offsetOf(progress);
      },
      append: (content, { signal } = {}) =>
        run(progress, async () => {
          const stop = stopWith(signal);
          try {
            await append(progress, content, { signal: stop.signal, limitBytes });
          } catch (error) {
            await closeFile(progress); // opened anew, it is cut to what is known to be in it
            throw error;
          } finally {
            progress.unwritten = [];
            stop.forget();
          }
        }),
      read: (buffer, position) => read(progress, buffer, position),
      async commit(digest) {
        try {
          await run(progress, () => place(progress, repository, digest));
        } finally {
          if (progress.isOver) endTurn();
        }
      },
      cancel: () => run(progress, () => discard(progress)).then(endTurn),
      async release() {
        try {
          const isIdle = !progress.isBusy && !progress.isOver && !isClosed; // else others look after it
          if (isIdle) await run(progress, () => letGo(progress));
        } finally {
          endTurn();
        }
      },
    };
  }

  /** Of bytes that arrived; of its begin when none did. */
  async function lastActivity(id: string): Promise<Date> {
    const changed = await fileTime(uploadPath(directory, id));
    return changed ?? new Date(rowOf(id)?.started ?? 0);
  }

  async function discard(progress: Progress): Promise<void> {
    if (progress.isRecorded) {
      await commit.transact((write) => write.delete(tables.upload, progress.id), { durable: false });
    }
    await closeFile(progress);
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
