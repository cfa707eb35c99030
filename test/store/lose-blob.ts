import { join } from 'node:path';
import { Level } from 'level';
import type { Digest } from '../../modules/registry/src/oci/digest.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import {
  blobSuspectKey,
  holderKey,
  keyWithin,
  openTables,
  type Index,
} from '../../modules/registry/src/store/layout.ts';

/** What damage does, and no client can while a manifest needs the blob. */
export async function loseBlob(index: Index, repository: RepositoryName, digest: Digest): Promise<void> {
  const { link, holder, suspect } = openTables(index);
  await link.del(keyWithin(repository, digest));
  await holder.del(holderKey(digest, repository));
  await suspect.put(blobSuspectKey(digest), { since: new Date(0).toISOString(), mark: 'lost' });
}

/** The store in `directory` must be closed. */
export async function loseBlobIn(directory: string, repository: RepositoryName, digest: Digest): Promise<void> {
  const index = new Level(join(directory, 'index'));
  await loseBlob(index, repository, digest);
  await index.close();
}
