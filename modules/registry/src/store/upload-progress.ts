import type { Hash } from 'node:crypto';
import { RegistryError } from '../errors.ts';
import { digestFrom, digestOf, startHash, type Digest, type DigestAlgorithm } from '../oci/digest.ts';
import { digestOfFile, fileSize } from './durable-files.ts';

/** What is known of an upload while the process lives; after a restart the file's length tells the offset. */
export interface Progress {
  readonly id: string;
  readonly algorithm: DigestAlgorithm;
  offset: number;
  /** Of the first `hashedBytes`, or of nothing that is in the file once that is not a number. */
  readonly hash: Hash;
  hashedBytes: number;
  /** Found at a commit that then could not be written; its repetition need not, and cannot, look again. */
  verified: Digest | undefined;
  isBusy: boolean;
  isOver: boolean;
}

export function createProgress(id: string, algorithm: DigestAlgorithm, offset: number): Progress {
  return {
    id,
    algorithm,
    offset,
    hash: startHash(algorithm),
    hashedBytes: 0,
    verified: undefined,
    isBusy: false,
    isOver: false,
  };
}

/** Goes on with the hash where it has seen all that comes before `position`; else gives it up for good. */
export function hashPieces(progress: Progress, pieces: readonly Uint8Array[], position: number): void {
  progress.verified = undefined;
  if (progress.hashedBytes !== position) progress.hashedBytes = NaN;
  for (const piece of pieces) {
    progress.hash.update(piece);
    progress.hashedBytes += piece.length;
  }
}

/** The digest of what was received: from the running hash, or, after a restart or a failed write, from the file. */
export async function digestOfUpload(progress: Progress, path: string, wanted: DigestAlgorithm): Promise<Digest> {
  const { algorithm, offset, hash, hashedBytes } = progress;
  const sizeBytes = (await fileSize(path)) ?? 0;
  if (algorithm === wanted && hashedBytes === offset && sizeBytes === offset) {
    return digestFrom(algorithm, hash.copy());
  }
  return sizeBytes === 0 ? digestOf(Buffer.alloc(0), wanted) : digestOfFile(path, wanted);
}

/** Runs `work` as the only one on this upload. Throws BLOB_UPLOAD_INVALID, or BLOB_UPLOAD_UNKNOWN once it is over. */
export async function alone<T>(progress: Progress, work: () => Promise<T>): Promise<T> {
  if (progress.isOver) throw new RegistryError('BLOB_UPLOAD_UNKNOWN');
  if (progress.isBusy) {
    throw new RegistryError('BLOB_UPLOAD_INVALID', {
      message: 'blob upload invalid: another request is writing to it',
    });
  }
  progress.isBusy = true;
  try {
    return await work();
  } finally {
    progress.isBusy = false;
  }
}
