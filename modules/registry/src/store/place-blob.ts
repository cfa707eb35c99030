import type { FileHandle } from 'node:fs/promises';
import { RegistryError } from '../errors.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { BlobUpload } from '../oci/registry.ts';
import { linkBlob } from './blob-links.ts';
import { digestOfFile, fileSize, moveFile, removeFile, syncFile } from './durable-files.ts';
import type { GroupCommit } from './group-commit.ts';
import { blobPath, uploadPath, type Tables } from './layout.ts';
import type { Turns } from './turns.ts';

export interface VerifiedBlob {
  /** Of the upload that brought it. */
  readonly id: string;
  /** Whether the index may have a row of that upload. */
  readonly isRecorded: boolean;
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
 * Moves the file of a verified blob to its place and makes it visible: content and name are on the disk before the index
 * is, so what a power cut leaves has no row. One that is there already is only linked.
 * `file` is that of the upload, where it is open; it is closed on the way.
 * Throws BLOB_UPLOAD_UNKNOWN when its bytes are nowhere.
 */
export async function placeFileBlob(
  { directory, tables, commit, places }: BlobPlace,
  blob: VerifiedBlob,
  file?: FileHandle,
): Promise<void> {
  const { id, isRecorded, repository, digest, sizeBytes } = blob;
  const [from, to] = [uploadPath(directory, id), blobPath(directory, digest)];
  const endTurn = await places.take(digest);
  try {
    const isThere = tables.blob.getSync(digest) !== undefined && (await fileSize(to)) === sizeBytes;
    if (!isThere) {
      if (file ?? (await fileSize(from)) === sizeBytes) await moveFile(from, to);
      else if ((await fileSize(to)) !== sizeBytes) throw new RegistryError('BLOB_UPLOAD_UNKNOWN');
      await syncFile(to, file);
    }
    const linked = commit.transact((write) => {
      linkBlob(write, repository, digest, sizeBytes);
      if (isRecorded) write.delete(tables.upload, id);
    });
    await Promise.all([linked, file?.close()]);
    if (isThere) await removeFile(from);
  } finally {
    endTurn();
  }
}

/** Writes a small verified blob and makes it visible, in one batch. */
export function placeSmallBlob(
  { tables, commit }: BlobPlace,
  { id, isRecorded, repository, digest }: Omit<VerifiedBlob, 'sizeBytes'>,
  bytes: Buffer,
): Promise<void> {
  return commit.transact((write) => {
    if (!write.get(tables.content, digest)?.equals(bytes)) write.put(tables.content, digest, bytes); // or damaged
    linkBlob(write, repository, digest, bytes.length);
    if (isRecorded) write.delete(tables.upload, id);
  });
}

/** Whether the bytes of a blob are here; a file without a row, which a crash may leave, counts if its digest is right. */
export async function isPresent({ directory, tables }: BlobPlace, digest: Digest, sizeBytes: number): Promise<boolean> {
  if (tables.content.getSync(digest)?.length === sizeBytes) return true;
  const path = blobPath(directory, digest);
  if ((await fileSize(path)) !== sizeBytes) return false;
  return tables.blob.getSync(digest) !== undefined || (await digestOfFile(path, algorithmOf(digest))) === digest;
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
      const bytes = place.tables.content.getSync(digest);
      await (bytes ? placeSmallBlob(place, blob, bytes) : placeFileBlob(place, blob));
      endTurn();
    },
    cancel: letGo,
    release: letGo,
  };
}
