import type { Dir } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { fileSize, fileTime, removeFile } from './durable-files.ts';
import { hasAny, type GarbagePass } from './garbage-pass.ts';
import { blobPath, blobsDirectory, holderRange, idOf } from './layout.ts';
import { hasCode } from './storage-error.ts';
import { clearSuspect, isStillSuspect, suspectPages, type Suspect } from './suspects.ts';

export interface Freed {
  count: number;
  bytes: number;
}

export interface CollectBlobs extends GarbagePass {
  /** Keeps everybody from placing this blob, or from counting on its file; undefined while somebody does. */
  tryHold(digest: Digest): (() => void) | undefined;
}

/**
 * Removes the blobs that no repository has: first, durably, their rows, which is all of a small one, then their files. A blob is held meanwhile,
 * so that whoever brings it again does so after its file is gone; one that is just being brought is left alone.
 */
export async function collectBlobs(pass: CollectBlobs): Promise<Freed> {
  const { directory, tables, commit, signal, dryRun } = pass;
  const freed = { count: 0, bytes: 0 };
  for await (const page of suspectPages(tables, 'blob', pass.before(0))) {
    signal.throwIfAborted();
    const held: (() => void)[] = [];
    try {
      const examined: { suspect: Suspect; digest: Digest; isLinked: boolean }[] = [];
      for (const suspect of page) {
        const digest = idOf(suspect.key) as Digest;
        const letGo = pass.tryHold(digest);
        if (!letGo) continue;
        held.push(letGo);
        examined.push({ suspect, digest, isLinked: await hasAny(tables.holder, holderRange(digest)) });
      }
      const files = await commit.transact((write) => {
        const files: Digest[] = [];
        for (const { suspect, digest, isLinked } of examined) {
          if (!isStillSuspect(write, suspect)) continue;
          if (!dryRun) clearSuspect(write, suspect.key);
          const row = write.get(tables.blob, digest);
          if (isLinked || !row) continue;
          freed.count += 1;
          freed.bytes += row.sizeBytes;
          if (dryRun) continue;
          write.delete(tables.blob, digest);
          write.count({ blobs: -1, usedBytes: -row.sizeBytes });
          if (write.get(tables.content, digest)) write.delete(tables.content, digest);
          else files.push(digest);
        }
        return files;
      });
      for (const digest of files) await removeFile(blobPath(directory, digest));
    } finally {
      for (const letGo of held) letGo();
    }
  }
  return freed;
}

/** Removes files without a row: what a crash left between the two. Younger ones may serve a repetition. */
export async function collectOrphans(pass: CollectBlobs, before: Date): Promise<Freed> {
  const { directory, tables, signal, dryRun } = pass;
  const freed = { count: 0, bytes: 0 };
  for await (const digest of digestsOnDisk(directory)) {
    signal.throwIfAborted();
    if (tables.blob.getSync(digest)) continue;
    const letGo = pass.tryHold(digest);
    if (!letGo) continue;
    try {
      const path = blobPath(directory, digest);
      const changed = await fileTime(path);
      if (!changed || changed > before || tables.blob.getSync(digest)) continue;
      freed.count += 1;
      freed.bytes += (await fileSize(path)) ?? 0;
      if (!dryRun) await removeFile(path);
    } finally {
      letGo();
    }
  }
  return freed;
}

/** Of every file that may be a blob, whether a row knows it or not. */
export async function* digestsOnDisk(directory: string): AsyncGenerator<Digest> {
  const root = blobsDirectory(directory);
  for await (const algorithm of namesIn(root)) {
    for await (const group of namesIn(join(root, algorithm))) {
      for await (const encoded of namesIn(join(root, algorithm, group))) {
        const digest = parseDigest(`${algorithm}:${encoded}`);
        if (digest) yield digest;
      }
    }
  }
}

/** Read bit by bit, however large; nothing for what is no directory. */
export async function* namesIn(path: string): AsyncGenerator<string> {
  let entries: Dir;
  try {
    entries = await opendir(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return;
    throw error;
  }
  for await (const { name } of entries) yield name;
}
