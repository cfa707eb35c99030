import { expect } from 'chai';
import { Level } from 'level';
import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf, type Digest } from '../../modules/registry/src/oci/digest.ts';
import { blobPath, indexDirectory, openTables, type Tables } from '../../modules/registry/src/store/layout.ts';
import type { Damage, Store } from '../../modules/registry/src/store/store.ts';
import type { Finding, Verification, VerifyStore } from '../../modules/registry/src/store/verification.ts';
import { pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { collectGarbage, filesIn, noMercy, pullEverything } from './garbage.ts';
import { codeOf, withStore, type StoreTest } from './with-store.ts';

const [plant, line] = [repository('plant'), repository('plant/line')];
const v1 = tag('1');
const large = Buffer.alloc(200_000, 'large');
const image = sampleImage(['small', large]);
const other = sampleImage(['other', large], { artifactType: 'application/vnd.other' });
const signature = sampleImage(['signature'], { subject: image.manifest });
const index = sampleIndex([[{ os: 'linux', architecture: 'amd64' }, image]]);

export function verify(store: Store, options: Partial<VerifyStore> = {}): Promise<Verification> {
  return store.verify({ signal: new AbortController().signal, deep: true, repair: false, ...options });
}

async function fill(store: Store): Promise<void> {
  await pushImage(store.local, plant, index, v1);
  await pushImage(store.local, plant, signature);
  await pushImage(store.local, line, other, v1);
}

function brief({ kind, repository: name, digest, tag: of, repaired }: Finding): object {
  return { kind, repository: name, digest, ...(of !== undefined && { tag: of }), repaired };
}

/** Changes rows behind the store's back, while it is closed. */
async function tamper(directory: string, change: (tables: Tables) => Promise<unknown>): Promise<void> {
  const level = new Level(indexDirectory(directory));
  await level.open();
  await change(openTables(level));
  await level.close();
}

async function flip(path: string, position: number): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8((bytes[position] ?? 0) ^ 0xff, position);
  await writeFile(path, bytes);
}

describe('verify()', () => {
  it(
    'finds nothing in what was pushed, and counts it',
    withStore(async ({ store }) => {
      await fill(store);
      const steps: number[] = [];
      const seen = await verify(store, { onProgress: ({ bytes }) => steps.push(bytes) });
      const { blobs, manifests, usedBytes } = store.contents;
      const manifestBytes = [index, image, other, signature].reduce(
        (sum, { manifest }) => sum + manifest.bytes.length,
        0,
      );
      expect(seen).to.deep.equal({
        ...{ blobs, bytes: usedBytes - manifestBytes, manifests, tags: 2, links: 8 },
        ...{ unknownFiles: 0, findings: 0, first: [], repaired: 0 },
      });
      expect(steps.at(-1)).to.equal(seen.bytes);
    }),
  );

  for (const [what, harm, isDeep] of [
    ['a flipped byte', (path: string) => flip(path, 150_000), true],
    ['a missing file', (path: string) => rm(path), false],
    ['a file cut short', (path: string) => truncate(path, 100), false],
  ] as const) {
    it(
      `finds ${what} of a blob, and a repair puts the blob out of sight and its bytes aside`,
      withStore(async ({ store, directory }) => {
        await fill(store);
        const digest = digestOf(large);
        await harm(blobPath(directory, digest));
        const finding = { kind: 'blob', repository: plant, digest, repaired: false };
        expect((await verify(store)).first.map(brief)).to.deep.equal([finding]);
        expect((await verify(store, { deep: false })).findings).to.equal(isDeep ? 0 : 1);

        const repaired = await verify(store, { repair: true });
        expect(repaired.first.map(brief)).to.deep.equal([
          { ...finding, repaired: true },
          { kind: 'manifest', repository: plant, digest: image.manifest.digest, repaired: false },
          { kind: 'manifest', repository: line, digest: other.manifest.digest, repaired: false },
        ]);
        for (const name of [plant, line]) expect(await store.statBlob(name, digest)).to.equal(undefined);
        expect(await filesIn(directory, 'blobs')).to.deep.equal([]);

        await pushBlob(store.local, plant, large);
        await pushBlob(store.local, line, large);
        expect((await verify(store)).findings).to.equal(0);
        await collectGarbage(store, noMercy);
        await pullEverything(store);
      }),
    );
  }

  it(
    'ends when it is told to, and with the store',
    withStore(async ({ store }) => {
      await fill(store);
      const stop = new AbortController();
      const stopped = verify(store, { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
      expect(await stopped.catch(String)).to.equal('Error: enough');
      let closing: Promise<void> | undefined;
      const closed = verify(store, { onProgress: () => void (closing ??= store.close()) });
      expect(await codeOf(closed)).to.equal('UNAVAILABLE');
      await closing;
    }),
  );

  it(
    'takes in again the files that the index lost, and puts aside those with another content',
    withStore(async ({ store, directory, clock, reopen }) => {
      await fill(store);
      const wrong = digestOf(Buffer.from('never seen'));
      await cp(blobPath(directory, digestOf(large)), blobPath(directory, wrong));
      await store.close();
      await tamper(directory, (tables) => tables.blob.del(digestOf(large)));
      const again = await reopen();
      const damaged = await verify(again);
      expect(damaged.unknownFiles).to.equal(2);
      expect(damaged.first.map(({ kind }) => kind)).to.deep.equal(['link', 'link', 'counts']);
      await verify(again, { repair: true });
      expect(await verify(again)).to.include({ findings: 0, unknownFiles: 0 });
      await clock.advance(1000);
      await collectGarbage(again, noMercy);
      await pullEverything(again);
    }),
  );

  for (const [what, change, expected] of [
    [
      'a lost link',
      (tables: Tables) => tables.link.del(`${plant}\0${digestOf(large)}`),
      ['manifest true', 'counts true'],
    ],
    ['a lost holder', (tables: Tables) => tables.holder.del(`${digestOf(large)}\0${plant}`), ['link true']],
    [
      'a lost need',
      (tables: Tables) => tables.needed.del(`${plant}\0${digestOf(large)}\0${image.manifest.digest}`),
      ['manifest true'],
    ],
    [
      'a lost referrer',
      (tables: Tables) => tables.referrer.del(`${plant}\0${image.manifest.digest}\0${signature.manifest.digest}`),
      ['manifest true'],
    ],
    ['a lost tag list', (tables: Tables) => tables.tagged.del(`${line}\0${other.manifest.digest}`), ['tag true']],
    [
      'a lost repository',
      (tables: Tables) => tables.repository.del(line),
      ['counts true', 'counts true', 'counts true', 'counts true'],
    ],
    ['lost totals', (tables: Tables) => tables.record.put('store\0totals', { head: 4 }), ['counts true']],
    ['a gap in the journal', (tables: Tables) => tables.journal.del('2'.padStart(16, '0')), ['journal true']],
    [
      'a row that is no JSON',
      (tables: Tables) =>
        tables.tagged.put(`${line}\0${other.manifest.digest}`, Buffer.from('{'), { valueEncoding: 'buffer' } as never),
      ['index true', 'tag true'],
    ],
  ] as const satisfies readonly (readonly [string, (tables: Tables) => Promise<unknown>, readonly string[]])[]) {
    it(
      `finds ${what} and rebuilds it`,
      withStore(async ({ store, directory, reopen }) => {
        await fill(store);
        await store.close();
        await tamper(directory, change);
        const again = await reopen();
        const told = await verify(again, { repair: true });
        expect(told.first.map(({ kind, repaired }) => `${kind} ${repaired}`)).to.deep.equal(expected);
        expect((await verify(again)).first).to.deep.equal([]);
        await pullEverything(again);
      }),
    );
  }

  it(
    'finds a damaged and a lost manifest, which stay out of sight until they come again',
    withStore(async ({ store, directory, reopen }) => {
      await fill(store);
      await store.close();
      const { digest, mediaType } = other.manifest;
      await tamper(directory, async ({ manifest }) => {
        const row = await manifest.get(`${line}\0${digest}`);
        await manifest.put(`${line}\0${digest}`, { ...row!, bytes: Buffer.from(`${String(row!.bytes)} `) });
        await manifest.del(`${plant}\0${index.manifest.digest}`);
      });
      const again = await reopen();
      const told = await verify(again, { repair: true });
      expect(told.first.map(brief)).to.deep.include.members([
        { kind: 'manifest', repository: line, digest, repaired: false },
        { kind: 'tag', repository: plant, digest: index.manifest.digest, tag: v1, repaired: false },
      ]);
      expect(await again.findManifest(line, v1)).to.equal(undefined);
      expect(await again.findManifest(plant, v1)).to.equal(undefined);
      await again.local.putManifest(line, other.manifest, { tag: v1 });
      await again.local.putManifest(plant, index.manifest, { tag: v1 });
      expect((await verify(again)).first).to.deep.equal([]);
      expect(await again.findManifest(line, v1)).to.include({ digest, mediaType });
    }),
  );

  it(
    'takes no work going on for damage',
    withStore(async ({ store }) => {
      const stop = new AbortController();
      const push = async (writer: number): Promise<void> => {
        const name = repository(`plant/${writer % 2}`);
        for (let count = 0; !stop.signal.aborted; count += 1) {
          const next = sampleImage([`${writer} ${count}`, Buffer.alloc(70_000, `${writer % 2} ${count % 3}`)]);
          await pushImage(store.local, name, next, tag(`${writer}`));
          const before = sampleImage([
            `${writer} ${count - 1}`,
            Buffer.alloc(70_000, `${writer % 2} ${(count - 1) % 3}`),
          ]);
          await store.local.deleteManifest(name, before.manifest.digest);
        }
      };
      const collect = async (): Promise<void> => {
        // No grace for manifests and files; blobs wait for their manifests.
        while (!stop.signal.aborted) await collectGarbage(store, { ...noMercy, blobsOlderThanMs: 1000 });
      };
      const working = [push(0), push(1), push(2), push(3), collect()];
      let findings: readonly Finding[] = [];
      for (let round = 0; round < 12 && findings.length === 0; round += 1) {
        findings = (await verify(store, { repair: round % 2 === 0 })).first;
      }
      stop.abort();
      await Promise.all(working);
      expect(findings).to.deep.equal([]);
      expect((await verify(store)).first).to.deep.equal([]);
    }),
  );
});

describe('a read of something damaged', () => {
  const met: Damage[] = [];
  beforeEach(() => void met.splice(0));
  const withDamage = (harm: (test: StoreTest, digest: Digest) => Promise<void>, digest: Digest) =>
    withStore(
      async (test) => {
        await fill(test.store);
        await harm(test, digest);
        const again = await test.reopen();
        expect(await again.openBlob(plant, digest)).to.equal(undefined);
        expect(await again.readBlob(plant, digest)).to.equal(undefined);
        expect(met.map((damage) => [damage.repository, damage.digest])).to.deep.equal([
          [plant, digest],
          [plant, digest],
        ]);
      },
      { onDamage: (damage) => met.push(damage) },
    );

  it(
    'is answered as if it were not here, for a missing file',
    withDamage(({ directory }, digest) => rm(blobPath(directory, digest)), digestOf(large)),
  );
  it(
    'is answered as if it were not here, for a file cut short',
    withDamage(({ directory }, digest) => truncate(blobPath(directory, digest), 70_000), digestOf(large)),
  );
  it(
    'is answered as if it were not here, for a small blob of another content',
    withDamage(
      async ({ store, directory }, digest) => {
        await store.close();
        await tamper(directory, ({ content }) => content.put(digest, Buffer.from('smell')));
      },
      digestOf(Buffer.from('small')),
    ),
  );
});

describe('openStore() over a damaged index', () => {
  for (const [what, harm, condition] of [
    ['no CURRENT', (path: string) => rm(join(path, 'CURRENT')), 'repaired'],
    ['garbage in CURRENT', (path: string) => writeFile(join(path, 'CURRENT'), 'garbage\n'), 'repaired'],
    ['nothing', () => Promise.resolve(), 'whole'],
  ] as const) {
    it(
      `opens it after ${what}: ${condition}`,
      withStore(async ({ store, directory, reopen }) => {
        await fill(store);
        await store.close();
        await harm(indexDirectory(directory));
        const again = await reopen();
        expect(again.condition).to.equal(condition);
        expect((await verify(again)).first).to.deep.equal([]);
        await pullEverything(again);
      }),
    );
  }

  it(
    'begins an empty one where nothing helps, keeps the old one, and takes the blobs in again',
    withStore(async ({ store, directory, reopen }) => {
      await fill(store);
      await store.close();
      await rm(indexDirectory(directory), { recursive: true });
      await writeFile(indexDirectory(directory), 'not even a folder');
      const again = await reopen();
      expect(again.condition).to.equal('renewed');
      expect(await verify(again, { repair: true })).to.include({ findings: 0, unknownFiles: 1 });
      expect(again.contents).to.include({ blobs: 1, manifests: 0 });
      await collectGarbage(again, noMercy);
      expect(await filesIn(directory, 'blobs')).to.have.length(1);
    }),
  );
});
