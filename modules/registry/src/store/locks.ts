import type { Digest } from '../oci/digest.ts';
import type { Reference, RepositoryName } from '../oci/names.ts';
import { allowsAction, isUnlocked, lockedError, unlocked, type Attributes, type LockedAction } from './attributes.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Transaction } from './transaction.ts';
import { idOf, keyWithin, lockKey, rangeWithin, type Tables } from './layout.ts';

/** Locks on repositories, tags and manifests. They bind clients; what comes from the parent passes them. */
export interface Locks {
  /** Costs nothing while nothing here is locked. Without `reference`: of the repository itself. */
  of(repository: RepositoryName, reference?: Reference): Attributes;
  /** The attributes afterwards; undefined when there is no such repository, tag or manifest. */
  change(
    repository: RepositoryName,
    reference: Reference | undefined,
    changes: Partial<Attributes>,
  ): Promise<Attributes | undefined>;
}

export interface LocksOptions {
  readonly tables: Tables;
  readonly commit: GroupCommit;
}

export function createLocks({ tables, commit }: LocksOptions): Locks {
  return {
    of(repository, reference) {
      if (commit.totals.locks === 0) return unlocked;
      return tables.lock.getSync(lockKey(repository, reference)) ?? unlocked;
    },

    change: (repository, reference, changes) =>
      commit.transact((write) => {
        if (!exists(write, repository, reference)) return undefined;
        const attributes = { ...lockIn(write, repository, reference), ...changes };
        forgetLock(write, repository, reference);
        if (!isUnlocked(attributes)) {
          write.put(write.tables.lock, lockKey(repository, reference), attributes);
          write.count({ locks: 1 });
        }
        return attributes;
      }),
  };
}

/** Throws REGISTRY_DISALLOWED_OPERATION when the repository or one of `references` in it is locked against `action`. */
export function refuseLocked(
  write: Transaction,
  action: LockedAction,
  repository: RepositoryName,
  references: readonly (Reference | undefined)[],
): void {
  for (const reference of [undefined, ...references]) {
    if (!allowsAction(lockIn(write, repository, reference), action)) {
      throw lockedError(action, reference ?? repository);
    }
  }
}

/** Throws REGISTRY_DISALLOWED_OPERATION when the repository, or anything in it, is locked against deletes. */
export async function refuseAnyLocked({ tables, commit }: LocksOptions, repository: RepositoryName): Promise<void> {
  if (commit.totals.locks === 0) return;
  const own = lockKey(repository, undefined);
  for await (const [key, attributes] of tables.lock.iterator({ gte: own, lt: rangeWithin(repository).lt })) {
    if (!allowsAction(attributes, 'delete')) throw lockedError('delete', idOf(key) || repository);
  }
}

/** Whether the manifest, or the repository it is in, is locked against deletes. */
export function isKept(write: Transaction, repository: RepositoryName, digest: Digest): boolean {
  return [undefined, digest].some((reference) => !allowsAction(lockIn(write, repository, reference), 'delete'));
}

/** A lock ends with what it locks. */
export function forgetLock(write: Transaction, repository: RepositoryName, reference?: Reference): void {
  const key = lockKey(repository, reference);
  if (!write.get(write.tables.lock, key)) return;
  write.delete(write.tables.lock, key);
  write.count({ locks: -1 });
}

function lockIn(write: Transaction, repository: RepositoryName, reference: Reference | undefined): Attributes {
  return write.get(write.tables.lock, lockKey(repository, reference)) ?? unlocked;
}

function exists(write: Transaction, repository: RepositoryName, reference: Reference | undefined): boolean {
  const { tables } = write;
  if (reference === undefined) return write.get(tables.repository, repository) !== undefined;
  const key = keyWithin(repository, reference);
  return write.get(tables.tag, key) !== undefined || write.get(tables.manifest, key) !== undefined;
}
