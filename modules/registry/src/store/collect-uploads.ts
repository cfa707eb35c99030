import type { BlobUploads } from './blob-uploads.ts';
import { namesIn, type Freed } from './collect-blobs.ts';
import { fileSize, fileTime, removeFile } from './durable-files.ts';
import type { GarbagePass } from './garbage-pass.ts';
import { uploadPath, uploadsDirectory } from './layout.ts';

export interface CollectUploads extends GarbagePass {
  readonly uploads: Pick<BlobUploads, 'abandon' | 'has' | 'ids' | 'tryTake'>;
}

/** Removes uploads to which nothing was added since `before`, downloads from the parent too, and files without a row. */
export async function collectUploads(pass: CollectUploads, before: Date): Promise<Freed> {
  const { directory, signal, dryRun, uploads } = pass;
  const freed = { count: 0, bytes: 0 };
  const add = (bytes: number | undefined): void => {
    if (bytes === undefined) return;
    freed.count += 1;
    freed.bytes += bytes;
  };
  for await (const id of uploads.ids()) {
    signal.throwIfAborted();
    add(await uploads.abandon(id, before, dryRun));
  }
  for await (const id of namesIn(uploadsDirectory(directory))) {
    signal.throwIfAborted();
    if (!uploads.has(id)) add(await removeOrphan(id));
  }
  return freed;

  async function removeOrphan(id: string): Promise<number | undefined> {
    const letGo = uploads.tryTake(id);
    if (!letGo) return undefined;
    try {
      const path = uploadPath(directory, id);
      const changed = await fileTime(path);
      if (!changed || changed > before || uploads.has(id)) return undefined;
      const bytes = await fileSize(path);
      if (!dryRun) await removeFile(path);
      return bytes ?? 0;
    } finally {
      letGo();
    }
  }
}
