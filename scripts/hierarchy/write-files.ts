import { chmod, mkdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OutputFiles } from './output-files.ts';

/** Writes the files below `directory`, each whole or not at all, and removes those that go. Readable by their owner only. */
export async function writeFiles(directory: string, { written, removed, emptied }: OutputFiles): Promise<void> {
  for (const path of removed) await rm(join(directory, path), { force: true });
  for (const { path, text, executable } of written) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await chmod(`${file}.new`, executable ? 0o700 : 0o600);
    await rename(`${file}.new`, file);
  }
  // What somebody else put there stays.
  for (const path of emptied) await rmdir(join(directory, path)).catch(() => undefined);
}
