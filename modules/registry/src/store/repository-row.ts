import type { RepositoryName } from '../oci/names.ts';
import type { Transaction } from './transaction.ts';
import { forgetLock } from './locks.ts';
import type { RepositoryRow } from './rows.ts';

/** A repository begins with its first blob or manifest and ends with its last. */
export function countInRepository(
  write: Transaction,
  repository: RepositoryName,
  { manifests = 0, tags = 0, blobs = 0 }: Partial<RepositoryRow>,
): void {
  const table = write.tables.repository;
  const old = write.get(table, repository);
  const now = write.now.toISOString();
  const row = {
    created: old?.created ?? now,
    updated: now,
    manifests: (old?.manifests ?? 0) + manifests,
    tags: (old?.tags ?? 0) + tags,
    blobs: (old?.blobs ?? 0) + blobs,
  };
  const isEmpty = row.manifests === 0 && row.blobs === 0;
  if (isEmpty) {
    write.delete(table, repository);
    forgetLock(write, repository);
  } else {
    write.put(table, repository, row);
  }
  write.count({ repositories: (isEmpty ? 0 : 1) - (old ? 1 : 0) });
}
