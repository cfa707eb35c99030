import { rm } from 'node:fs/promises';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

/** What one suite opens: a directory, and processes over it. */
export interface Stage {
  readonly directory: string;
  open<T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T>;
  /** Closes everything, the last opened first, and removes the directory. */
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const directory = await temporaryDirectory();
  const opened: { close(): Promise<void> }[] = [];
  return {
    directory,
    async open(opening) {
      const one = await opening;
      opened.push(one);
      return one;
    },
    async close() {
      for (const one of opened.splice(0).reverse()) await one.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
