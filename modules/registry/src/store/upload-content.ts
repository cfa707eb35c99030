import { Readable } from 'node:stream';
import { RegistryError } from '../errors.ts';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { appendContent, openUploadFile } from './append-file.ts';
import { fileTime, readFilePart, readSmallFile, removeFile, writeSmallFile } from './durable-files.ts';
import { smallBlobBytes, uploadPath } from './layout.ts';
import type { LiveUploads } from './live-uploads.ts';
import { placeFileBlob, placeSmallBlob, type BlobPlace } from './place-blob.ts';
import {
  digestOfUpload,
  hashPieces,
  noteWritten,
  nothingHeld,
  offsetOf,
  readUnwritten,
  type Progress,
} from './upload-progress.ts';

/** Parts smaller than this are left to the commit. */
const partBytes = 4 * 1024 * 1024;

export interface UploadContentOptions extends BlobPlace {
  /** Throws STORAGE_FULL when no more bytes should be taken. */
  readonly ensureRoom: () => Promise<void>;
  readonly live: Pick<LiveUploads, 'closing' | 'end' | 'rowOf'>;
}

export interface AppendLimits {
  readonly signal?: AbortSignal | undefined;
  readonly limitBytes: number;
  /** Nobody else reads the pieces of the content, now or later. */
  readonly isOurs: boolean;
}

/** What becomes of an upload's bytes. Every function is called by the only one who works on that upload. */
export interface UploadContent {
  /** What arrived before an error, or before the signal or the store's end fires, is kept. */
  append(progress: Progress, content: AsyncIterable<Uint8Array> | Buffer, limits: AppendLimits): Promise<void>;
  /** Bytes from `position` on, also while they arrive: see `BlobUpload.read`. */
  read(progress: Progress, buffer: Uint8Array, position: number): Promise<number>;
  /** What was only in memory is in the file, so that idle uploads cost none, and a killed process loses nothing. */
  letGo(progress: Progress): Promise<void>;
  /** Verifies, makes durable, makes visible. DIGEST_INVALID discards the upload. */
  place(progress: Progress, repository: RepositoryName, digest: Digest): Promise<void>;
  discard(progress: Progress): Promise<void>;
  /** When bytes arrived; when it began while none did. */
  lastActivity(id: string): Promise<Date>;
}

export function createUploadContent(options: UploadContentOptions): UploadContent {
  const { directory, tables, commit, ensureRoom, live } = options;
  const pathOf = ({ id }: Progress): string => uploadPath(directory, id);

  return { append, read, letGo, place, discard, lastActivity };

  async function append(
    progress: Progress,
    content: AsyncIterable<Uint8Array> | Buffer,
    { signal, limitBytes, isOurs }: AppendLimits,
  ): Promise<void> {
    if (Buffer.isBuffer(content)) {
      const sizeBytes = offsetOf(progress) + content.length;
      if (progress.storedBytes > 0 || sizeBytes > Math.min(smallBlobBytes, limitBytes)) {
        return append(progress, Readable.from([content]), { signal, limitBytes, isOurs });
      }
      await ensureRoom();
      progress.held = progress.held.length > 0 ? Buffer.concat([progress.held, content], sizeBytes) : content;
      return;
    }
    const stopped = new AbortController();
    progress.stopAppend = (reason) => stopped.abort(reason);
    const stop = AbortSignal.any([stopped.signal, live.closing, ...(signal ? [signal] : [])]);
    progress.unwritten = progress.held.length > 0 ? [progress.held] : [];
    const target = {
      ...{ storedBytes: progress.storedBytes, held: progress.held },
      open: async () => (progress.file ??= await openUploadFile(pathOf(progress), progress.storedBytes)),
      onReceived: (piece: Uint8Array) => progress.unwritten.push(piece),
      onWriting: (pieces: readonly Uint8Array[], position: number) => hashPieces(progress, pieces, position),
      onWritten: (sizeBytes: number) => noteWritten(progress, sizeBytes),
      onSync: () => record(progress),
    };
    try {
      const held = await appendContent(target, { content, signal: stop, limitBytes, isOurs, ensureRoom });
      if (held) progress.held = held;
    } catch (error) {
      await closeFile(progress); // opened anew, it is cut to what is known to be in it
      throw error;
    } finally {
      progress.unwritten = [];
      progress.stopAppend = undefined;
    }
  }

  async function read(progress: Progress, buffer: Uint8Array, position: number): Promise<number> {
    const { storedBytes, file } = progress;
    if (position >= storedBytes) return readUnwritten(progress, buffer, position);
    const part = buffer.subarray(0, storedBytes - position);
    if (file) return (await file.read(part, 0, part.length, position)).bytesRead;
    return readFilePart(pathOf(progress), part, position);
  }

  /**
   * Most uploads are over before they need a row: one gets it when it is large, or let go with something in it.
   * Not synced: losing the row in a power cut loses nothing that was acknowledged.
   */
  async function record(progress: Progress): Promise<void> {
    if (progress.isRecorded) return;
    progress.isRecorded = true;
    try {
      await commit.transact((write) => write.put(tables.upload, progress.id, progress.row), { durable: false });
    } catch (error) {
      progress.isRecorded = false;
      throw error;
    }
  }

  async function letGo(progress: Progress): Promise<void> {
    if (offsetOf(progress) > 0) await record(progress);
    const { held } = progress;
    if (held.length > 0) {
      await writeSmallFile(pathOf(progress), held);
      hashPieces(progress, [held], 0);
      progress.storedBytes = held.length;
      progress.held = nothingHeld;
    }
    await (progress.storedBytes - progress.syncingBytes < partBytes ? closeFile(progress) : syncPart(progress));
  }

  /** The disk begins with a large part while its sender makes the next one ready, so that a commit finds little left. */
  async function syncPart(progress: Progress): Promise<void> {
    const { file, syncing } = progress;
    if (!file) return;
    progress.file = undefined;
    progress.syncingBytes = progress.storedBytes;
    progress.syncing = Promise.all([file.datasync(), syncing]).finally(() => file.close());
    progress.syncing.catch(() => undefined); // told at the next part, or the commit
    await syncing; // at most two parts wait for the disk
  }

  async function closeFile(progress: Progress): Promise<void> {
    const { file } = progress;
    progress.file = undefined;
    await file?.close();
  }

  async function place(progress: Progress, repository: RepositoryName, digest: Digest): Promise<void> {
    const { id, isRecorded, storedBytes: sizeBytes } = progress;
    const algorithm = algorithmOf(digest);
    if (sizeBytes <= smallBlobBytes) {
      const bytes = sizeBytes > 0 ? await readSmallFile(pathOf(progress)) : progress.held;
      await verify(progress, digest, digestOf(bytes, algorithm));
      await placeSmallBlob(options, { id, isRecorded, repository, digest }, bytes);
      await closeFile(progress);
      if (sizeBytes > 0) await removeFile(pathOf(progress));
    } else {
      await verify(
        progress,
        digest,
        progress.verified ?? (await digestOfUpload(progress, pathOf(progress), algorithm)),
      );
      progress.verified = digest;
      try {
        await progress.syncing;
        await placeFileBlob(options, { id, isRecorded, repository, digest, sizeBytes }, progress.file);
      } finally {
        await closeFile(progress); // a repetition has to look where the bytes are
      }
    }
    live.end(progress);
  }

  async function verify(progress: Progress, provided: Digest, computed: Digest): Promise<void> {
    if (computed === provided) return;
    await discard(progress);
    throw new RegistryError('DIGEST_INVALID', { detail: { provided, computed } });
  }

  async function discard(progress: Progress): Promise<void> {
    if (progress.isRecorded) {
      await commit.transact((write) => write.delete(tables.upload, progress.id), { durable: false });
    }
    await Promise.allSettled([progress.syncing]);
    await closeFile(progress);
    live.end(progress);
    await removeFile(pathOf(progress));
  }

  async function lastActivity(id: string): Promise<Date> {
    const changed = await fileTime(uploadPath(directory, id));
    return changed ?? new Date(live.rowOf(id)?.started ?? 0);
  }
}
