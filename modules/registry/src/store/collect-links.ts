import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { unlinkBlob } from './blob-links.ts';
import { hasAny, type GarbagePass } from './garbage-pass.ts';
import { holderRange, idOf, relationRange, suspectKey, suspectRepositoryOf } from './layout.ts';
import { clearSuspect, isStillSuspect, suspectPages, type Suspect } from './suspects.ts';

interface Examined {
  readonly suspect: Suspect;
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** Some manifest has it as a part. */
  readonly isNeeded: boolean;
}

/** Takes blobs out of repositories where no manifest needs them, and none has for the grace period. */
export async function collectLinks(pass: GarbagePass, before: Date): Promise<void> {
  const { tables, commit, signal } = pass;
  for await (const page of suspectPages(tables, 'link', before)) {
    signal.throwIfAborted();
    const examined: Examined[] = [];
    for (const suspect of page) {
      const [repository, digest] = [suspectRepositoryOf(suspect.key), idOf(suspect.key) as Digest];
      const isNeeded = await hasAny(tables.needed, relationRange(repository, digest));
      examined.push({ suspect, repository, digest, isNeeded });
    }
    await commit.transact((write) => {
      for (const { suspect, repository, digest, isNeeded } of examined) {
        if (!isStillSuspect(write, suspect)) continue;
        if (isNeeded) clearSuspect(write, suspect.key);
        else unlinkBlob(write, repository, digest);
      }
    });
  }
}

/** For the dry run: the bytes of each blob that would lose its last link here. */
export async function* blobsLosingAllLinks(pass: GarbagePass, before: Date): AsyncGenerator<number> {
  const { tables, signal } = pass;
  for await (const page of suspectPages(tables, 'link', before)) {
    signal.throwIfAborted();
    for (const { key } of page) {
      const [repository, digest] = [suspectRepositoryOf(key), idOf(key) as Digest];
      if (await isLastOfLost(repository, digest)) yield tables.blob.getSync(digest)?.sizeBytes ?? 0;
    }
  }

  /** The blob is told once, at the last of its holders, and only if none of them keeps it. */
  async function isLastOfLost(repository: RepositoryName, digest: Digest): Promise<boolean> {
    let last = '';
    for await (const key of tables.holder.keys(holderRange(digest))) {
      last = idOf(key);
      const holder = last as RepositoryName;
      const suspect = tables.suspect.getSync(suspectKey('link', holder, digest));
      if (!suspect || suspect.since > before.toISOString()) return false;
      if (await hasAny(tables.needed, relationRange(holder, digest))) return false;
    }
    return last === repository;
  }
}
