import type { Clock } from '../status/clock.ts';
import type { BlobUploads } from './blob-uploads.ts';
import { collectBlobs, collectOrphans } from './collect-blobs.ts';
import { blobsLosingAllLinks, collectLinks } from './collect-links.ts';
import { collectManifests } from './collect-manifests.ts';
import { collectUploads } from './collect-uploads.ts';
import type { GroupCommit } from './group-commit.ts';
import { blobUploadId, type Tables } from './layout.ts';
import type { Collected, CollectGarbage } from './store.ts';
import type { Turns } from './turns.ts';

export interface CollectorOptions {
  readonly directory: string;
  readonly tables: Tables;
  readonly commit: GroupCommit;
  readonly clock: Clock;
  readonly uploads: Pick<BlobUploads, 'abandon' | 'has' | 'ids' | 'tryTake'>;
  readonly places: Turns;
}

/**
 * Frees what nothing refers to, while everything else goes on. Candidates are the suspects that writers leave behind.
 * Each is looked at outside the write path, a page at a time, and judged inside a transaction, which throws the
 * finding away when the suspect changed since: a push, mount or tag that comes in between wins.
 */
export async function collectGarbage(
  { directory, tables, commit, clock, uploads, places }: CollectorOptions,
  { signal, dryRun = false, untagged, uploadsOlderThanMs, blobsOlderThanMs }: CollectGarbage,
): Promise<Collected> {
  const now = clock.now().getTime();
  const pass = {
    ...{ directory, tables, commit, signal, dryRun, uploads },
    before: (milliseconds: number) => new Date(now - milliseconds),

    tryHold(digest: Parameters<typeof blobUploadId>[0]) {
      const endUpload = uploads.tryTake(blobUploadId(digest));
      const endPlace = endUpload && places.tryTake(digest);
      if (endUpload && !endPlace) endUpload();
      return (
        endPlace &&
        (() => {
          endPlace();
          endUpload();
        })
      );
    },
  };
  const blobsBefore = pass.before(blobsOlderThanMs);
  const abandoned = await collectUploads(pass, pass.before(uploadsOlderThanMs));
  const author = { origin: 'parent', carried: false } as const;
  const manifests = untagged === 'keep' ? 0 : await collectManifests(pass, pass.before(untagged.olderThanMs), author);
  const freed = { count: 0, bytes: 0 };
  const add = (more: typeof freed): void => {
    freed.count += more.count;
    freed.bytes += more.bytes;
  };
  if (dryRun) for await (const bytes of blobsLosingAllLinks(pass, blobsBefore)) add({ count: 1, bytes });
  else await collectLinks(pass, blobsBefore);
  add(await collectBlobs(pass));
  add(await collectOrphans(pass, blobsBefore));
  return { blobs: freed.count, bytes: freed.bytes + abandoned.bytes, uploads: abandoned.count, manifests };
}
