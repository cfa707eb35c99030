import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Transaction } from './transaction.ts';
import { blobSuspectKey, holderKey, keyWithin, suspectKey } from './layout.ts';
import { countInRepository } from './repository-row.ts';
import { addSuspect, clearSuspect, renewSuspect } from './suspects.ts';

/** Makes a blob that is in its place on disk visible in `repository`. */
export function linkBlob(write: Transaction, repository: RepositoryName, digest: Digest, sizeBytes: number): void {
  const { blob, link, holder } = write.tables;
  if (!write.get(blob, digest)) {
    write.put(blob, digest, { sizeBytes, added: write.now.toISOString() });
    write.count({ blobs: 1, usedBytes: sizeBytes });
  }
  const key = keyWithin(repository, digest);
  if (write.get(link, key)) {
    renewSuspect(write, suspectKey('link', repository, digest));
    return;
  }
  write.put(link, key, true);
  write.put(holder, holderKey(digest, repository), true);
  clearSuspect(write, blobSuspectKey(digest));
  addSuspect(write, suspectKey('link', repository, digest)); // until a manifest needs it
  countInRepository(write, repository, { blobs: 1 });
}

/** Takes the blob out of the repository; once no repository has it, its bytes go with the next garbage collection. */
export function unlinkBlob(write: Transaction, repository: RepositoryName, digest: Digest): boolean {
  const key = keyWithin(repository, digest);
  if (!write.get(write.tables.link, key)) return false;
  write.delete(write.tables.link, key);
  write.delete(write.tables.holder, holderKey(digest, repository));
  clearSuspect(write, suspectKey('link', repository, digest));
  addSuspect(write, blobSuspectKey(digest));
  countInRepository(write, repository, { blobs: -1 });
  return true;
}
