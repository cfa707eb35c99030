import type { Digest } from '../oci/digest.ts';
import { hasAny, type GarbagePass } from './garbage-pass.ts';
import type { Transaction } from './transaction.ts';
import { deleteManifest, type Author } from './image-changes.ts';
import { idOf, keyWithin, relationRange, suspectRepositoryOf } from './layout.ts';
import { isKept } from './locks.ts';
import { clearSuspect, isStillSuspect, suspectPages, type Suspect } from './suspects.ts';

interface Examined {
  readonly suspect: Suspect;
  /** Some index has it as a child. */
  readonly isNeeded: boolean;
}

/**
 * Removes the manifests that no tag reaches, be it directly, as a child or as a referrer; the number of them.
 * What one removal sets free is a suspect from then on, with a grace period of its own.
 */
export async function collectManifests(pass: GarbagePass, before: Date, author: Author): Promise<number> {
  const { tables, commit, signal, dryRun } = pass;
  let removed = 0;
  for await (const page of suspectPages(tables, 'manifest', before)) {
    signal.throwIfAborted();
    const examined: Examined[] = [];
    for (const suspect of page) {
      const range = relationRange(suspectRepositoryOf(suspect.key), idOf(suspect.key) as Digest);
      examined.push({ suspect, isNeeded: await hasAny(tables.needed, range) });
    }
    removed += await commit.transact((write) => {
      const condemned = examined.filter((one) => judge(write, one, dryRun) === 'remove');
      if (dryRun) return condemned.length;
      for (const { suspect } of condemned) {
        deleteManifest(write, suspectRepositoryOf(suspect.key), idOf(suspect.key) as Digest, author);
      }
      return condemned.length;
    });
  }
  return removed;
}

/** A referrer, and what is locked, stays a suspect while it lives: nothing tells it when its subject or lock goes. */
function judge(write: Transaction, { suspect, isNeeded }: Examined, dryRun: boolean): 'keep' | 'remove' {
  const { manifest, tagged } = write.tables;
  if (!isStillSuspect(write, suspect)) return 'keep';
  const repository = suspectRepositoryOf(suspect.key);
  const key = keyWithin(repository, idOf(suspect.key) as Digest);
  if (isNeeded || write.get(tagged, key)) {
    if (!dryRun) clearSuspect(write, suspect.key);
    return 'keep';
  }
  if (isKept(write, repository, idOf(suspect.key) as Digest)) return 'keep';
  const subject = write.get(manifest, key)?.subject;
  return subject && write.get(manifest, keyWithin(repository, subject)) ? 'keep' : 'remove';
}
