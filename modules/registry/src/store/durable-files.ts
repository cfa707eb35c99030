import { closeSync, fsync, openSync, type Stats } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { digestFrom, startHash, type Digest, type DigestAlgorithm } from '../oci/digest.ts';
import { hasCode } from './storage-error.ts';

const readBytes = 1024 * 1024;
const syncDescriptor = promisify(fsync);

/** The length of the file in bytes; undefined where there is none. */
export async function fileSize(path: string): Promise<number | undefined> {
  return (await statFile(path))?.size;
}

/** When the file's content last changed; undefined where there is none. */
export async function fileTime(path: string): Promise<Date | undefined> {
  return (await statFile(path))?.mtime;
}

async function statFile(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** The number of bytes read into `buffer`; 0 beyond the end, and where there is no such file (any more). */
export async function readFilePart(path: string, buffer: Uint8Array, position: number): Promise<number> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0;
    throw error;
  }
  try {
    return (await file.read(buffer, 0, buffer.length, position)).bytesRead;
  } finally {
    await file.close();
  }
}

export async function digestOfFile(path: string, algorithm: DigestAlgorithm): Promise<Digest> {
  const hash = startHash(algorithm);
  const file = await open(path);
  try {
    const buffer = Buffer.allocUnsafe(readBytes);
    for (let position = 0; ;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead === 0) return digestFrom(algorithm, hash);
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
  } finally {
    await file.close();
  }
}

/** Moves a file to its place, whose folder is made where it is the first. Not synced. */
export async function moveFile(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    await makeDirectory(dirname(to));
    await rename(from, to);
  }
}

/** Content and name of the file survive a power cut. `opened` is that file, where it is open for writing. */
export async function syncFile(path: string, opened?: FileHandle): Promise<void> {
  const file = opened ?? (await open(path, 'r+'));
  try {
    await Promise.all([file.datasync(), syncDirectory(dirname(path))]); // at once: a journal writes both together
  } finally {
    if (!opened) await file.close();
  }
}

/** Opens and closes without a thread of the pool: a directory that was just used is in memory. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = openSync(path, 'r');
  try {
    await syncDescriptor(directory);
  } finally {
    closeSync(directory);
  }
}

/** Creates the directory and its parents where they are missing, durably. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let created = path; created.length >= first.length; created = dirname(created)) {
    await syncDirectory(dirname(created));
  }
}

/** The whole content; nothing where there is no file. */
export async function readSmallFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return Buffer.alloc(0);
    throw error;
  }
}

/** Not synced. */
export function writeSmallFile(path: string, bytes: Buffer): Promise<void> {
  return writeFile(path, bytes, { mode: 0o640 });
}

export function removeFile(path: string): Promise<void> {
  return rm(path, { force: true });
}
