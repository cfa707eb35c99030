import type { Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { RegistryError } from '../errors.ts';
import { digestFrom, digestOf, startHash, type Digest, type DigestAlgorithm } from '../oci/digest.ts';
import { digestOfFile, fileSize } from './durable-files.ts';
import type { UploadRow } from './rows.ts';

/** What is known of an upload while the process lives; after a restart the file's length tells the offset. */
export interface Progress {
  readonly id: string;
  readonly row: UploadRow;
  /** Whether the index has the row. */
  isRecorded: boolean;
  /** In the file. */
  storedBytes: number;
  /** What came before there was a file: small, and written to one when its sender lets go of it. */
  held: Buffer;
  /** While an append runs: what follows the stored bytes and is in memory only, `held` included. */
  unwritten: Uint8Array[];
  /** Open from the first write until the commit, or until its sender lets go. */
  file: FileHandle | undefined;
  /** The disk writes what was let go of, up to `syncingBytes`; rejects, for good, when it could not. */
  syncing: Promise<unknown> | undefined;
  syncingBytes: number;
  /** Of the first `hashedBytes`, or of nothing that is in the file once that is not a number. */
  hash: Hash | undefined;
  hashedBytes: number;
  /** Found at a commit that then could not be written; its repetition need not, and cannot, look again. */
  verified: Digest | undefined;
  /** Somebody works on it, alone. */
  work: Promise<unknown> | undefined;
  /** Ends the append that runs; what arrived is kept. */
  stopAppend: ((reason: Error) => void) | undefined;
  isOver: boolean;
}

export const nothingHeld = Buffer.alloc(0);

export function createProgress(id: string, row: UploadRow, stored?: { readonly storedBytes: number }): Progress {
  return {
    id,
    row,
    isRecorded: stored !== undefined,
    storedBytes: stored?.storedBytes ?? 0,
    held: nothingHeld,
    unwritten: [],
    file: undefined,
    syncing: undefined,
    syncingBytes: 0,
    hash: undefined,
    hashedBytes: 0,
    verified: undefined,
    isOver: false,
    work: undefined,
    stopAppend: undefined,
  };
}

/** Takes the first `sizeBytes` out of the memory: they are in the file. */
export function noteWritten(progress: Progress, sizeBytes: number): void {
  progress.storedBytes += sizeBytes;
  progress.held = nothingHeld;
  for (let left = sizeBytes; left > 0;) left -= progress.unwritten.shift()?.length ?? left;
}

/** Copies what is in memory from byte `position` on; 0 where that is in the file, or has not arrived. */
export function readUnwritten(progress: Progress, buffer: Uint8Array, position: number): number {
  const { held, unwritten, storedBytes } = progress;
  let skip = position - storedBytes;
  let filled = 0;
  for (const piece of unwritten.length > 0 ? unwritten : [held]) {
    const part = piece.subarray(Math.max(0, skip), Math.max(0, skip) + buffer.length - filled);
    buffer.set(part, filled);
    filled += part.length;
    skip -= piece.length;
    if (filled === buffer.length) break;
  }
  return filled;
}

export function offsetOf({ storedBytes, held }: Progress): number {
  return storedBytes + held.length;
}

/** All that came, in the file or not. */
export function arrivedBytes(progress: Progress): number {
  const { storedBytes, unwritten } = progress;
  return unwritten.length > 0 ? unwritten.reduce((sum, { length }) => sum + length, storedBytes) : offsetOf(progress);
}

/** Goes on with the hash where it has seen all that comes before `position`; else gives it up for good. */
export function hashPieces(progress: Progress, pieces: readonly Uint8Array[], position: number): void {
  progress.verified = undefined;
  progress.hash ??= startHash(progress.row.algorithm);
  if (progress.hashedBytes !== position) progress.hashedBytes = NaN;
  for (const piece of pieces) {
    progress.hash.update(piece);
    progress.hashedBytes += piece.length;
  }
}

/** The digest of the file: from the running hash, or, after a restart or a failed write, by reading it. */
export async function digestOfUpload(progress: Progress, path: string, wanted: DigestAlgorithm): Promise<Digest> {
  const { row, storedBytes, hash, hashedBytes, file } = progress;
  const sizeBytes = file ? storedBytes : ((await fileSize(path)) ?? 0);
  if (hash && row.algorithm === wanted && hashedBytes === storedBytes && sizeBytes === storedBytes) {
    return digestFrom(wanted, hash.copy());
  }
  return sizeBytes === 0 ? digestOf(nothingHeld, wanted) : digestOfFile(path, wanted);
}

/** Runs `work` as the only one on this upload. Throws BLOB_UPLOAD_INVALID, or BLOB_UPLOAD_UNKNOWN once it is over. */
export async function alone<T>(progress: Progress, work: () => Promise<T>): Promise<T> {
  if (progress.isOver) throw new RegistryError('BLOB_UPLOAD_UNKNOWN');
  if (progress.work) throw busy();
  const running = work();
  progress.work = running;
  try {
    return await running;
  } finally {
    progress.work = undefined;
  }
}

export function busy(): RegistryError {
  return new RegistryError('BLOB_UPLOAD_INVALID', {
    message: 'blob upload invalid: another request is writing to it',
  });
}
