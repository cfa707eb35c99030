import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import { unlinkBlob } from './blob-links.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Transaction } from './transaction.ts';
import { deleteManifest, type Author } from './image-changes.ts';
import { idOf, keyWithin, rangeWithin, type Tables } from './layout.ts';
import type { RemovedContent } from './store.ts';

const removedPerBatch = 100;

/**
 * Takes a repository out by parts, so that a large one does not hold up other writers; undefined when there was none.
 * What breaks off half-way is simply repeated.
 */
export async function removeRepository(
  { tables, commit }: { readonly tables: Tables; readonly commit: GroupCommit },
  repository: RepositoryName,
  author: Author,
): Promise<RemovedContent | undefined> {
  const range = { ...rangeWithin(repository), limit: removedPerBatch };
  const manifests: Digest[] = [];
  const tags: Tag[] = [];
  await removeAll(
    () => tables.manifest.keys(range),
    (write, digest) => {
      manifests.push(digest);
      tags.push(...(write.get(tables.tagged, keyWithin(repository, digest)) ?? []));
      deleteManifest(write, repository, digest, author);
    },
  );
  const hadLinks = await removeAll(
    () => tables.link.keys(range),
    (write, digest) => {
      unlinkBlob(write, repository, digest);
    },
  );
  return manifests.length > 0 || hadLinks ? { manifests, tags } : undefined;

  async function removeAll(
    next: () => AsyncIterable<string>,
    remove: (write: Transaction, digest: Digest) => void,
  ): Promise<boolean> {
    for (let found = false; ; found = true) {
      const keys: string[] = [];
      for await (const key of next()) keys.push(key);
      if (keys.length === 0) return found;
      await commit.transact((write) => {
        for (const key of keys) remove(write, idOf(key) as Digest);
      });
    }
  }
}
