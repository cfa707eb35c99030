import { expect } from 'chai';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { blobPath } from '../../modules/registry/src/store/layout.ts';
import { makeDirectory } from '../../modules/registry/src/store/durable-files.ts';
import { pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { collectGarbage, dayMs, expectOnlyNeeded, filesIn, hookedIndex, hourMs, noMercy } from './garbage.ts';
import { codeOf, collect, contentOf, withStore } from './with-store.ts';

const [plant, other] = [repository('plant'), repository('other')];
const [v1, v2] = [tag('1'), tag('2')];
const amd64 = { os: 'linux', architecture: 'amd64' };
const nothing = { blobs: 0, bytes: 0, uploads: 0, manifests: 0 };
const bytes = Buffer.from('a layer');
const digest = digestOf(bytes);

describe('collectGarbage()', () => {
  it(
    'frees what only a deleted manifest needed, a day later, and keeps what another needs',
    withStore(async ({ store, directory, clock }) => {
      const [gone, kept] = [sampleImage(['shared', 'gone']), sampleImage(['shared', 'kept'])];
      await pushImage(store.local, plant, gone, v1);
      await pushImage(store.local, plant, kept, v2);
      await clock.advance(30 * dayMs);
      await store.local.deleteManifest(plant, gone.manifest.digest);
      await clock.advance(dayMs - 1);
      expect(await collectGarbage(store)).to.deep.equal(nothing);
      await clock.advance(1);
      const [config, , layer] = gone.blobs;
      expect(await collectGarbage(store)).to.deep.equal({
        ...nothing,
        blobs: 2,
        bytes: config!.length + layer!.length,
      });
      expect(await store.statBlob(plant, digestOf(layer!))).to.equal(undefined);
      await expectOnlyNeeded(store, directory);
      expect(await collectGarbage(store)).to.deep.equal(nothing);
    }),
  );

  it(
    'keeps untagged manifests while they, or their repository, are locked against deletes',
    withStore(async ({ store }) => {
      const image = sampleImage(['locked']);
      await pushImage(store.local, plant, image);
      for (const [reference, flag] of [
        [image.manifest.digest, 'deleteEnabled'],
        [undefined, 'writeEnabled'],
      ] as const) {
        await store.locks.change(plant, reference, { [flag]: false });
        expect(await collectGarbage(store, noMercy)).to.deep.equal(nothing);
        await store.locks.change(plant, reference, { [flag]: true });
      }
      expect(await collectGarbage(store, noMercy)).to.include({ manifests: 1, blobs: 2 });
    }),
  );

  it(
    'leaves a blob a day to get its manifest, and longer when somebody asks for it or brings it again',
    withStore(async ({ store, clock }) => {
      await pushBlob(store.local, plant, bytes);
      for (let days = 0; days < 3; days += 1) {
        await clock.advance(dayMs - hourMs);
        expect(await store.statBlob(plant, digest)).to.deep.equal({ size: bytes.length });
        await clock.advance(dayMs - hourMs);
        expect(await collectGarbage(store)).to.deep.equal(nothing);
        const upload = await store.uploads.begin(plant);
        await upload.append(contentOf(bytes));
        await upload.commit(digest);
        await clock.advance(dayMs - 1);
        expect(await collectGarbage(store)).to.deep.equal(nothing);
      }
      await clock.advance(1);
      expect(await collectGarbage(store)).to.deep.equal({ ...nothing, blobs: 1, bytes: bytes.length });
      expect(await store.hasRepository(plant)).to.equal(false);
    }),
  );

  it(
    'keeps the bytes while one repository has them, and the mount they serve',
    withStore(async ({ store, directory, clock }) => {
      const image = sampleImage(['x']);
      await pushImage(store.local, plant, image, v1);
      for (const blob of image.blobs) expect(await store.local.mountBlob(other, digestOf(blob))).to.equal(true);
      await store.local.putManifest(other, image.manifest, { tag: v1 });
      await store.deleteRepository(plant);
      await clock.advance(dayMs);
      expect(await collectGarbage(store, noMercy)).to.deep.equal(nothing);
      await expectOnlyNeeded(store, directory);
      await store.deleteRepository(other);
      expect((await collectGarbage(store)).blobs).to.equal(2);
      expect(await store.local.mountBlob(plant, digestOf(image.blobs[0]!))).to.equal(false);
      expect(store.contents).to.deep.equal({ usedBytes: 0, blobs: 0, manifests: 0, repositories: 0 });
    }),
  );

  it(
    'gives a reader who has begun the whole blob, and tells no damage',
    withStore(async ({ store, clock, log }) => {
      await pushBlob(store.local, plant, bytes);
      const open = await store.openBlob(plant, digest);
      const stream = await store.readBlob(plant, digest);
      await clock.advance(dayMs);
      expect((await collectGarbage(store)).blobs).to.equal(1);
      const buffer = Buffer.alloc(bytes.length);
      expect(await open!.read(buffer, 0)).to.equal(bytes.length);
      expect(buffer).to.deep.equal(bytes);
      expect(Buffer.concat((await stream!.toArray()) as Buffer[])).to.deep.equal(bytes);
      await open!.close();
      expect(await store.openBlob(plant, digest)).to.equal(undefined);
      expect(log.lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
    }),
  );

  it(
    'takes the manifests that no tag reaches only when asked to, and journals them',
    withStore(async ({ store, directory, clock }) => {
      const [child, alone] = [sampleImage(['child']), sampleImage(['alone'])];
      const index = sampleIndex([[amd64, child] as const]);
      const signature = sampleImage(['signature'], { subject: index.manifest });
      const attestation = sampleImage(['attestation'], { subject: signature.manifest });
      await pushImage(store.replica, plant, index, v1);
      await pushImage(store.replica, plant, signature);
      await pushImage(store.replica, plant, attestation);
      await pushImage(store.replica, plant, alone, v2);
      await store.replica.deleteTag(plant, v2);
      const { head } = store.journal;
      await clock.advance(2 * dayMs);
      expect(await collectGarbage(store)).to.deep.equal(nothing);
      expect((await collectGarbage(store, { untagged: { olderThanMs: dayMs } })).manifests).to.equal(1);
      const changes = await collect(store.journal.readAfter(head));
      expect(changes.map(({ action, digest: of }) => [action, of])).to.deep.equal([['delete', alone.manifest.digest]]);
      expect((await store.outbox.pending()).count).to.equal(0);
      await clock.advance(dayMs);
      await collectGarbage(store);
      await expectOnlyNeeded(store, directory);

      await store.replica.deleteTag(plant, v1);
      for (let pass = 0; pass < 3; pass += 1) {
        await clock.advance(dayMs);
        await collectGarbage(store, { untagged: { olderThanMs: dayMs } });
      }
      await clock.advance(dayMs);
      await collectGarbage(store);
      expect(store.contents).to.deep.equal({ usedBytes: 0, blobs: 0, manifests: 0, repositories: 0 });
    }),
  );

  it(
    'removes uploads and downloads to which nothing was added for a week, and no others',
    withStore(async ({ store, directory, clock }) => {
      const [old, fresh, empty] = [
        await store.uploads.begin(plant),
        await store.uploads.begin(plant),
        await store.uploads.begin(plant),
      ];
      for (const upload of [old, fresh]) {
        await upload.append(contentOf('half'));
        await upload.release();
      }
      const download = await store.replica.beginBlob(plant, { digest, size: 100 });
      await download.append(contentOf('some'));
      await download.release();
      const held = await store.replica.beginBlob(plant, { digest: digestOf(Buffer.from('held')), size: 100 });
      await held.append(contentOf('begin'));
      await clock.advance(7 * dayMs);
      await touch(directory, 'uploads', clock.now());
      await touch(directory, 'uploads', new Date(clock.now().getTime() - 7 * dayMs), (name) => name !== fresh.id);
      expect(await collectGarbage(store, { dryRun: true })).to.deep.equal({ ...nothing, uploads: 3, bytes: 8 });
      expect(await filesIn(directory, 'uploads')).to.have.length(3);
      expect(await collectGarbage(store)).to.deep.equal({ ...nothing, uploads: 3, bytes: 8 });
      expect(await codeOf(old.append(contentOf('x')))).to.equal('BLOB_UPLOAD_UNKNOWN');
      expect(await store.uploads.find(plant, empty.id)).to.equal(undefined);
      expect((await store.uploads.find(plant, fresh.id))?.offset).to.equal(4);
      const again = await store.replica.beginBlob(plant, { digest, size: 100 });
      expect(again.offset).to.equal(0);
      await again.cancel();
      await held.release();
    }),
  );

  it(
    'removes files that a crash left without a row, after their time, and nothing it does not know',
    withStore(async ({ store, directory, clock }) => {
      const path = blobPath(directory, digest);
      await makeDirectory(join(path, '..'));
      await writeFile(path, bytes);
      await writeFile(join(path, '..', 'notes.txt'), 'x');
      await writeFile(join(directory, 'uploads', 'left-behind'), 'rubbish');
      await touch(directory, 'uploads', new Date(clock.now().getTime() - 7 * dayMs));
      await touch(directory, 'blobs', new Date(clock.now().getTime() - dayMs + 1));
      expect(await collectGarbage(store)).to.deep.equal({ ...nothing, uploads: 1, bytes: 7 });
      await clock.advance(1);
      expect(await collectGarbage(store)).to.deep.equal({ ...nothing, blobs: 1, bytes: bytes.length });
      expect(await filesIn(directory, 'blobs')).to.deep.equal(['notes.txt']);
    }),
  );

  it('removes the bytes of a small blob with its row', async () => {
    const { index, entries } = hookedIndex();
    const contentRows = async (): Promise<number> =>
      (await entries()).filter(([key]) => key.startsWith('!content!')).length;
    const test = withStore(
      async ({ store, clock }) => {
        await pushBlob(store.local, plant, bytes);
        await pushBlob(store.local, other, bytes);
        expect(await contentRows()).to.equal(1);
        await clock.advance(dayMs);
        expect(await collectGarbage(store, { dryRun: true })).to.include({ blobs: 1, bytes: bytes.length });
        expect(await contentRows()).to.equal(1);
        expect(await collectGarbage(store)).to.include({ blobs: 1, bytes: bytes.length });
        expect(await contentRows()).to.equal(0);
      },
      { index },
    );
    await test();
  });

  it('says in a dry run what it would free, and changes nothing', async () => {
    const { index, entries } = hookedIndex();
    const test = withStore(
      async ({ store, directory, clock }) => {
        const [kept, gone, untagged] = [sampleImage(['kept']), sampleImage(['gone']), sampleImage(['untagged'])];
        await pushImage(store.local, plant, kept, v1);
        for (const name of [plant, other]) await pushImage(store.local, name, gone, v2);
        await pushImage(store.local, plant, untagged);
        await pushBlob(store.local, plant, bytes);
        await pushBlob(store.local, other, bytes);
        await store.local.deleteManifest(plant, gone.manifest.digest);
        await store.deleteRepository(other);
        await pushBlob(store.local, other, kept.blobs[1]!);
        await clock.advance(dayMs);
        const before = [await entries(), await filesIn(directory, 'blobs')];
        const wouldBe = await collectGarbage(store, { dryRun: true, untagged: { olderThanMs: dayMs } });
        expect(wouldBe).to.deep.include({ blobs: 3, manifests: 1 });
        expect([await entries(), await filesIn(directory, 'blobs')]).to.deep.equal(before);
        expect(await collectGarbage(store, { untagged: { olderThanMs: dayMs } })).to.deep.equal(wouldBe);
      },
      { index },
    );
    await test();
  });

  it(
    'goes through any number of pages, and stops between two when the signal fires',
    withStore(async ({ store, directory, clock }) => {
      const layers = Array.from({ length: 250 }, (_, count) => `layer ${count}`);
      await pushImage(store.local, plant, sampleImage(layers), v1);
      const { digest: manifest } = sampleImage(layers).manifest;
      await store.local.deleteManifest(plant, manifest);
      await clock.advance(dayMs);
      const stop = new AbortController();
      stop.abort(new Error('enough'));
      const error = await collectGarbage(store, { signal: stop.signal }).catch((reason: unknown) => reason);
      expect(error).to.equal(stop.signal.reason);
      expect((await collectGarbage(store)).blobs).to.equal(251);
      expect(await filesIn(directory, 'blobs')).to.deep.equal([]);
    }),
  );

  it(
    'ends with the store',
    withStore(async ({ store, clock }) => {
      await pushBlob(store.local, plant, bytes);
      await clock.advance(dayMs);
      const collecting = codeOf(collectGarbage(store));
      await store.close();
      expect(await collecting).to.equal('UNAVAILABLE');
      expect(await codeOf(collectGarbage(store))).to.equal('UNAVAILABLE');
    }),
  );
});

async function touch(
  directory: string,
  folder: 'blobs' | 'uploads',
  time: Date,
  chosen: (name: string) => boolean = () => true,
): Promise<void> {
  for (const name of (await filesIn(directory, folder)).filter(chosen)) {
    const inBlobs = join('blobs', 'sha256', digest.slice(7, 9));
    await utimes(join(directory, folder === 'uploads' ? 'uploads' : inBlobs, name), time, time);
  }
}
