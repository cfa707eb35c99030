import { createReadStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, digestFrom, digestOf, startHash, type Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { unlinkBlob } from './blob-links.ts';
import { digestsOnDisk } from './collect-blobs.ts';
import { fileSize, makeDirectory, syncDirectory, syncFile } from './durable-files.ts';
import { blobPath, blobSuspectKey, blobUploadId, damagedDirectory, holderRange, idOf } from './layout.ts';
import type { BlobRow } from './rows.ts';
import { hasCode } from './storage-error.ts';
import { clearSuspect } from './suspects.ts';
import { rowsOf } from './verify-rows.ts';
import type { VerifyPass } from './verify-store.ts';

const readBytes = 512 * 1024;
/** A file taken in again waits this long for a manifest that needs it: more than the longest pause of sync. */
const adoptedMs = 30 * 86_400_000;

/** The bytes of every blob: there, as long as they should be, and (deep, or within the index) what their digest says. */
export async function verifyBlobs(pass: VerifyPass): Promise<void> {
  const { tables, tally } = pass;
  for await (const [key, row] of rowsOf(pass, tables.blob)) {
    const digest = key as Digest;
    tally.sums.blobs += 1;
    if ((await problemOf(pass, digest, row)) !== undefined) await confirmBlob(pass, digest);
    tally.move();
  }
}

async function problemOf(pass: VerifyPass, digest: Digest, { sizeBytes }: BlobRow): Promise<string | undefined> {
  const { directory, tables, tally, deep } = pass;
  const bytes = tables.content.getSync(digest);
  if (bytes) {
    tally.sums.bytes += bytes.length;
    return digestOf(bytes, algorithmOf(digest)) === digest ? undefined : 'its content has another digest';
  }
  const path = blobPath(directory, digest);
  const lengthBytes = await fileSize(path);
  if (lengthBytes === undefined) return 'its file is missing';
  if (lengthBytes !== sizeBytes) return `its file has ${lengthBytes} bytes instead of ${sizeBytes}`;
  if (!deep) tally.sums.bytes += lengthBytes;
  return deep && !(await isContentOf(pass, digest)) ? 'the content of its file has another digest' : undefined;
}

/** False for content of another digest, and for content that the disk does not give any more. */
async function isContentOf({ directory, tally, signal }: VerifyPass, digest: Digest): Promise<boolean> {
  const hash = startHash(algorithmOf(digest));
  try {
    const content = createReadStream(blobPath(directory, digest), { highWaterMark: readBytes, signal });
    for await (const piece of content as AsyncIterable<Buffer>) {
      hash.update(piece);
      tally.sums.bytes += piece.length;
      tally.move();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (hasCode(error, 'ENOENT') || hasCode(error, 'EIO')) return false;
    throw error;
  }
  return digestFrom(algorithmOf(digest), hash) === digest;
}

/** Looks again while nobody can place the blob or take it away, and, in a repair, puts it out of sight. */
async function confirmBlob(pass: VerifyPass, digest: Digest): Promise<void> {
  const { directory, tables, commit, places, tally, signal, repair } = pass;
  const endTurn = await places.take(digest, signal);
  try {
    const row = tables.blob.getSync(digest);
    const problem = row && (await problemOf(pass, digest, row));
    if (!row || problem === undefined) return;
    const holders: RepositoryName[] = [];
    for await (const key of tables.holder.keys(holderRange(digest))) holders.push(idOf(key) as RepositoryName);
    if (repair) {
      // The file first: without its row it would count as whole for whoever brings the blob again.
      await putAside(directory, digest);
      await commit.transact((write) => {
        for (const repository of holders) unlinkBlob(write, repository, digest);
        if (!write.get(tables.blob, digest)) return;
        write.delete(tables.blob, digest);
        write.delete(tables.content, digest);
        clearSuspect(write, blobSuspectKey(digest));
        write.count({ blobs: -1, usedBytes: -row.sizeBytes });
      });
    }
    const [repository] = holders;
    tally.find({ kind: 'blob', digest, ...(repository && { repository }), problem, repaired: repair });
  } finally {
    endTurn();
  }
}

/**
 * Files that no row knows are garbage of a crash, or all that is left of lost rows. A repair takes those whose digest is
 * right in again, so that neither sync nor a push has to send them; they go when nothing needs them for a month.
 */
export async function adoptFiles(pass: VerifyPass): Promise<void> {
  const { directory, tables, commit, clock, places, tally, signal, repair } = pass;
  for await (const digest of digestsOnDisk(directory)) {
    signal.throwIfAborted();
    if (tables.blob.getSync(digest)) continue;
    const endTurn = await places.take(digest, signal); // it may just be placed
    try {
      const sizeBytes = await fileSize(blobPath(directory, digest));
      if (sizeBytes === undefined || tables.blob.getSync(digest)) continue;
      tally.sums.unknownFiles += 1;
      if (!repair) continue;
      if (!(await isContentOf(pass, digest))) {
        await putAside(directory, digest);
        continue;
      }
      await syncFile(blobPath(directory, digest)); // whoever left it may not have come to that
      const now = clock.now();
      const since = new Date(now.getTime() + adoptedMs).toISOString();
      await commit.transact((write) => {
        if (write.get(tables.blob, digest)) return;
        write.put(tables.blob, digest, { sizeBytes, added: now.toISOString() });
        write.put(tables.suspect, blobSuspectKey(digest), { since, mark: since });
        write.count({ blobs: 1, usedBytes: sizeBytes });
      });
    } finally {
      endTurn();
    }
  }
}

/** Nothing is ever deleted by a repair: the bytes stay for whoever wants to look at them. */
async function putAside(directory: string, digest: Digest): Promise<void> {
  await makeDirectory(damagedDirectory(directory));
  try {
    await rename(blobPath(directory, digest), join(damagedDirectory(directory), blobUploadId(digest)));
    await syncDirectory(damagedDirectory(directory));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
