import { expect } from 'chai';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MemoryLevel } from 'memory-level';
import { digestOf, type Digest } from '../../modules/registry/src/oci/digest.ts';
import { parseManifest } from '../../modules/registry/src/oci/manifest.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import { smallBlobBytes } from '../../modules/registry/src/store/layout.ts';
import type { Collected, CollectGarbage, Store } from '../../modules/registry/src/store/store.ts';

export const hourMs = 60 * 60 * 1000;
export const dayMs = 24 * hourMs;

/** Collects as a ReadWrite registry does, unless told otherwise. */
export function collectGarbage(store: Store, options: Partial<CollectGarbage> = {}): Promise<Collected> {
  return store.collectGarbage({
    signal: new AbortController().signal,
    untagged: 'keep',
    uploadsOlderThanMs: 7 * dayMs,
    blobsOlderThanMs: dayMs,
    ...options,
  });
}

/** Whatever may go, goes: nothing has a grace period. */
export const noMercy = { untagged: { olderThanMs: 0 }, blobsOlderThanMs: 0, uploadsOlderThanMs: 0 } as const;

export async function filesIn(directory: string, folder: 'blobs' | 'uploads'): Promise<string[]> {
  const entries = await readdir(join(directory, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
}

/** Pulls every tag with children and referrers as a client would; what that needs, by repository. */
export async function pullEverything(store: Store): Promise<{ manifests: Set<string>; blobs: Map<Digest, number> }> {
  const manifests = new Set<string>();
  const blobs = new Map<Digest, number>();
  for await (const repository of store.listRepositories()) {
    for await (const { digest } of store.listTags(repository)) await pull(repository, digest);
  }
  return { manifests, blobs };

  async function pull(repository: RepositoryName, digest: Digest): Promise<void> {
    if (manifests.has(`${repository}@${digest}`)) return;
    manifests.add(`${repository}@${digest}`);
    const manifest = await store.findManifest(repository, digest);
    expect(manifest, `${repository}@${digest}`).not.to.equal(undefined);
    const content = parseManifest(manifest!.bytes, manifest!.mediaType);
    for (const blob of content.blobs) {
      const stream = await store.readBlob(repository, blob.digest);
      expect(stream, `${repository}@${blob.digest}`).not.to.equal(undefined);
      const bytes = Buffer.concat((await stream!.toArray()) as Buffer[]);
      expect(digestOf(bytes)).to.equal(blob.digest);
      blobs.set(blob.digest, bytes.length);
    }
    for (const child of content.manifests) await pull(repository, child.digest);
    for await (const referrer of store.listReferrers(repository, digest)) await pull(repository, referrer.digest);
  }
}

/** What is stored, in the index and on the disk, is what the tags need: no less and no more. */
export async function expectOnlyNeeded(store: Store, directory: string): Promise<void> {
  const { manifests, blobs } = await pullEverything(store);
  const files = await filesIn(directory, 'blobs');
  const large = [...blobs].filter(([, sizeBytes]) => sizeBytes > smallBlobBytes);
  expect(files).to.deep.equal(large.map(([digest]) => digest.slice(digest.indexOf(':') + 1)).sort());
  expect(store.contents).to.deep.include({ blobs: blobs.size, manifests: manifests.size });
  expect(await filesIn(directory, 'uploads')).to.deep.equal([]);
}

type Hook = () => Promise<unknown> | undefined;
interface Hookable {
  _keys(options: { gt: Uint8Array }): { _all(options: object): Promise<string[]> };
  _batch(operations: readonly { key: string }[], options: object): Promise<void>;
}

/** An index in memory that lets a test come in at the moments that matter. */
export function hookedIndex() {
  const index = new MemoryLevel();
  const hooked = index as unknown as Hookable;
  const hooks: { look: { table: string; hook: Hook } | undefined; batch: Hook | undefined } = {
    look: undefined,
    batch: undefined,
  };
  const keys = hooked._keys.bind(index);
  hooked._keys = (options) => {
    const iterator = keys(options);
    const all = iterator._all.bind(iterator);
    iterator._all = async (allOptions) => {
      const found = await all(allOptions);
      const { look } = hooks;
      if (look && Buffer.from(options.gt).toString().startsWith(`!${look.table}!`)) {
        hooks.look = undefined;
        await look.hook();
      }
      return found;
    };
    return iterator;
  };
  const batch = hooked._batch.bind(index);
  hooked._batch = async (operations, options) => {
    const hook = hooks.batch;
    hooks.batch = undefined;
    await hook?.();
    await batch(operations, options);
  };
  return {
    index,
    /** Once, after a range of this table was looked into and before anybody has the answer. */
    afterLook: (table: 'needed' | 'holder', hook: Hook): void => void (hooks.look = { table, hook }),
    /** Once, when a batch was decided and is about to be written. A hook must not wait for another batch. */
    beforeBatch: (hook: Hook): void => void (hooks.batch = hook),
    entries: () => index.iterator().all(),
  };
}

/** Gives everything that is under way many chances to go on. */
export async function manyTurns(directory: string): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await readdir(directory);
}
