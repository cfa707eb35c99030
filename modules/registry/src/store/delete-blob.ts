import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { unlinkBlob } from './blob-links.ts';
import { hasAny } from './garbage-pass.ts';
import type { GroupCommit } from './group-commit.ts';
import { keyWithin, relationRange, suspectKey, type Tables } from './layout.ts';

/**
 * Takes a blob out of the repository, as a client asks; false when it was not there.
 * Throws REGISTRY_DISALLOWED_OPERATION while a manifest needs it: an image would be left incomplete under its tags.
 */
export async function deleteUnneeded(
  { tables, commit }: { readonly tables: Tables; readonly commit: GroupCommit },
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  const isNeeded = await hasAny(tables.needed, relationRange(repository, digest));
  return commit.transact((write) => {
    if (!write.get(write.tables.link, keyWithin(repository, digest))) return false;
    // A link that no manifest needs is a suspect; one that came to need it since the look has cleared that.
    if (isNeeded || !write.get(write.tables.suspect, suspectKey('link', repository, digest))) throw needed(digest);
    return unlinkBlob(write, repository, digest);
  });
}

function needed(digest: Digest): RegistryError {
  return new RegistryError('REGISTRY_DISALLOWED_OPERATION', {
    message: 'a manifest of this repository needs the blob: delete that first',
    detail: { digest },
  });
}
