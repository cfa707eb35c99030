import { dirname } from 'node:path';
import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { BlobUpload } from '../oci/registry.ts';
import { linkBlob } from './blob-links.ts';
import { fileSize, placeFile, removeFile, syncDirectory } from './durable-files.ts';
import type { GroupCommit } from './group-commit.ts';
import { blobPath, uploadPath, type Tables } from './layout.ts';
import type { Turns } from './turns.ts';

export interface VerifiedBlob {
  /** Of the upload that brought it. */
  readonly id: string;
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface BlobPlace {
  readonly directory: string;
  readonly tables: Tables;
  readonly commit: GroupCommit;
  /** By digest: who puts a blob into its place, or takes it from there, is alone with it. */
  readonly places: Turns;
}

/**
 * Moves a verified blob to its place and makes it visible: content, name, index, each on the disk before the next.
 * One that is there already is only linked. Throws BLOB_UPLOAD_UNKNOWN when its bytes are nowhere.
 */
export async function placeBlob({ directory, tables, commit, places }: BlobPlace, blob: VerifiedBlob): Promise<void> {
  const { id, repository, digest, sizeBytes } = blob;
  const [from, to] = [uploadPath(directory, id), blobPath(directory, digest)];
  const endTurn = await places.take(digest);
  try {
    const isThere = (await fileSize(to)) === sizeBytes;
    if (isThere) await syncDirectory(dirname(to));
    else if (((await fileSize(from)) ?? 0) === sizeBytes) await placeFile(from, to);
    else throw new RegistryError('BLOB_UPLOAD_UNKNOWN');
    await commit.transact((write) => {
      linkBlob(write, repository, digest, sizeBytes);
      write.delete(tables.upload, id);
    });
    if (isThere) await removeFile(from);
  } finally {
    endTurn();
  }
}

/** The upload of a blob whose bytes are here: it begins at its end, ignores what is appended, and is only linked. */
export function presentBlob(place: BlobPlace, blob: VerifiedBlob, endTurn: () => void): BlobUpload {
  const letGo = (): Promise<void> => Promise.resolve().then(endTurn);
  return {
    offset: blob.sizeBytes,
    async append(content, { signal } = {}) {
      for await (const piece of content) if (piece.length > 0) signal?.throwIfAborted();
    },
    async commit(digest) {
      if (digest !== blob.digest) {
        throw new RegistryError('DIGEST_INVALID', { detail: { provided: digest, computed: blob.digest } });
      }
      await placeBlob(place, blob);
      endTurn();
    },
    cancel: letGo,
    release: letGo,
  };
}
