import { expect } from 'chai';
import { digestOf, type Digest } from '../../modules/registry/src/oci/digest.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { pushBlob, pushImage, sampleImage, sampleIndex, type SampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { collectGarbage, dayMs, expectOnlyNeeded, hookedIndex, manyTurns, noMercy, pullEverything } from './garbage.ts';
import { codeOf, contentOf, withStore, type StoreTest } from './with-store.ts';

const [plant, other] = [repository('plant'), repository('other')];
const v1 = tag('1');

type Race = StoreTest & Pick<ReturnType<typeof hookedIndex>, 'afterLook' | 'beforeBatch'>;

function withRace(body: (race: Race) => Promise<void>): () => Promise<void> {
  return () => {
    const { index, ...hooks } = hookedIndex();
    return withStore((test) => body({ ...test, ...hooks }), { index })();
  };
}

/** A small blob is a row, a large one a file. */
for (const [kind, content] of [
  ['small', 'layer'],
  ['large', 'layer '.repeat(20_000)],
] as const)
  describe(`garbage collection of ${kind} blobs against`, () => {
    const image = sampleImage([content]);
    const [config, layer] = [image.blobs[0]!, image.blobs[1]!];
    const digest = digestOf(layer);
    const blob = { digest, size: layer.length };

    it(
      'a manifest that comes after its blob was looked at: the manifest wins',
      withRace(async ({ store, clock, afterLook }) => {
        await pushBlob(store.local, plant, config);
        await pushBlob(store.local, plant, layer);
        await clock.advance(dayMs);
        afterLook('needed', () => store.local.putManifest(plant, image.manifest, { tag: v1 }));
        expect((await collectGarbage(store, noMercy)).blobs).to.equal(0);
        expect((await pullEverything(store)).blobs.size).to.equal(2);
      }),
    );

    it(
      'a manifest that comes when its blobs are as good as gone: it is refused, and never half there',
      withRace(async ({ store, clock, beforeBatch }) => {
        await pushBlob(store.local, plant, config);
        await pushBlob(store.local, plant, layer);
        await clock.advance(dayMs);
        let code: Promise<string | undefined> | undefined;
        beforeBatch(() => {
          code = codeOf(store.local.putManifest(plant, image.manifest, { tag: v1 }));
          return undefined;
        });
        expect((await collectGarbage(store)).blobs).to.equal(2);
        expect(await code).to.equal('MANIFEST_BLOB_UNKNOWN');
        await pushImage(store.local, plant, image, v1);
        expect((await pullEverything(store)).blobs.size).to.equal(2);
      }),
    );

    it(
      'a tag set after its manifest was looked at: the tag wins',
      withRace(async ({ store, clock, afterLook }) => {
        await pushImage(store.replica, plant, image);
        await clock.advance(dayMs);
        afterLook('needed', () => store.replica.putManifest(plant, image.manifest, { tag: v1 }));
        expect((await collectGarbage(store, noMercy)).manifests).to.equal(0);
        expect((await pullEverything(store)).manifests.size).to.equal(1);
      }),
    );

    it(
      'an index that comes after its child was looked at: the index wins',
      withRace(async ({ store, clock, afterLook }) => {
        const index = sampleIndex([[{ os: 'linux', architecture: 'arm64' }, image] as const]);
        await pushImage(store.replica, plant, image);
        await clock.advance(dayMs);
        afterLook('needed', () => store.replica.putManifest(plant, index.manifest, { tag: v1 }));
        expect((await collectGarbage(store, noMercy)).manifests).to.equal(0);
        expect((await pullEverything(store)).manifests.size).to.equal(2);
      }),
    );

    it(
      'an index that goes after it was seen to need its child: the child is collected later',
      withRace(async ({ store, clock, afterLook }) => {
        const index = sampleIndex([[{ os: 'linux', architecture: 'arm64' }, image] as const]);
        await pushImage(store.replica, plant, index, v1);
        const second = sampleIndex([[{ os: 'linux', architecture: 'amd64' }, image] as const]);
        await pushImage(store.replica, plant, second);
        await store.replica.deleteManifest(plant, second.manifest.digest);
        afterLook('needed', () => store.replica.deleteManifest(plant, index.manifest.digest));
        expect((await collectGarbage(store, noMercy)).manifests).to.equal(0);
        await clock.advance(1);
        expect((await collectGarbage(store, noMercy)).manifests).to.equal(1);
        expect(store.contents.blobs).to.equal(0);
      }),
    );

    it(
      'a mount of a vanishing blob: before the decision it holds the blob, after it the blob must be sent',
      withRace(async ({ store, clock, afterLook, beforeBatch }) => {
        await pushBlob(store.local, plant, layer);
        await store.local.deleteBlob(plant, digest);
        afterLook('holder', async () => {
          expect(await store.local.mountBlob(other, digest)).to.equal(true);
        });
        expect((await collectGarbage(store)).blobs).to.equal(0);
        expect(await textOf(store, other, digest)).to.equal(content);

        await store.local.deleteBlob(other, digest);
        let mounted: Promise<boolean> | undefined;
        beforeBatch(() => {
          mounted = store.local.mountBlob(other, digest);
          return undefined;
        });
        await clock.advance(1);
        expect((await collectGarbage(store)).blobs).to.equal(1);
        expect(await mounted).to.equal(false);
        expect(await store.statBlob(other, digest)).to.equal(undefined);
      }),
    );

    it(
      'mounts that come and go between look and decision: the one that stays holds the blob',
      withRace(async ({ store, afterLook }) => {
        await pushBlob(store.local, plant, layer);
        await store.local.deleteBlob(plant, digest);
        afterLook('holder', async () => {
          await store.local.mountBlob(plant, digest);
          await store.local.mountBlob(other, digest);
          await store.local.deleteBlob(plant, digest);
        });
        expect((await collectGarbage(store)).blobs).to.equal(0);
        expect(await textOf(store, other, digest)).to.equal(content);
        await store.local.deleteBlob(other, digest);
        expect((await collectGarbage(store)).blobs).to.equal(1);
      }),
    );

    it(
      'the last holder, seen and then gone: the blob is collected later',
      withRace(async ({ store, afterLook }) => {
        await pushBlob(store.local, plant, layer);
        await store.local.mountBlob(other, digest);
        await store.local.deleteBlob(plant, digest);
        afterLook('holder', () => store.local.deleteBlob(other, digest));
        expect((await collectGarbage(store)).blobs).to.equal(0);
        expect((await collectGarbage(store)).blobs).to.equal(1);
      }),
    );

    it(
      'a download that counts on the bytes that are here: they stay until it ends',
      withRace(async ({ store }) => {
        await pushBlob(store.local, plant, layer);
        await store.local.deleteBlob(plant, digest);
        const download = await store.replica.beginBlob(other, blob);
        expect(download.offset).to.equal(layer.length);
        expect((await collectGarbage(store, noMercy)).blobs).to.equal(0);
        await download.commit(digest);
        expect(await textOf(store, other, digest)).to.equal(content);
      }),
    );

    it(
      'a download that begins while the blob is being removed: it brings the bytes again',
      withRace(async ({ store, directory, beforeBatch }) => {
        await pushBlob(store.local, plant, layer);
        await store.local.deleteBlob(plant, digest);
        let again: Promise<void> | undefined;
        beforeBatch(async () => {
          again = pushBlob(store.replica, other, layer);
          await manyTurns(directory);
        });
        expect((await collectGarbage(store)).blobs).to.equal(1);
        await again;
        expect(await textOf(store, other, digest)).to.equal(content);
        expect(store.contents).to.deep.include({ blobs: 1, usedBytes: layer.length });
      }),
    );

    it(
      'a session that commits while the blob is being removed: its own bytes take the place',
      withRace(async ({ store, directory, beforeBatch }) => {
        await pushBlob(store.local, plant, layer);
        await store.local.deleteBlob(plant, digest);
        const session = await store.uploads.begin(other);
        await session.append(contentOf(layer));
        let committing: Promise<void> | undefined;
        beforeBatch(async () => {
          committing = session.commit(digest);
          await manyTurns(directory);
        });
        expect((await collectGarbage(store)).blobs).to.equal(1);
        await committing;
        expect(await textOf(store, other, digest)).to.equal(content);
      }),
    );

    it(
      'a session that is committing: its blob is left alone',
      withRace(async ({ store, directory, beforeBatch }) => {
        await pushBlob(store.local, plant, layer);
        await store.local.deleteBlob(plant, digest);
        const session = await store.uploads.begin(other);
        await session.append(contentOf(layer));
        let collecting: ReturnType<typeof collectGarbage> | undefined;
        beforeBatch(async () => {
          collecting = collectGarbage(store, { ...noMercy, uploadsOlderThanMs: dayMs });
          await manyTurns(directory);
        });
        await session.commit(digest);
        expect((await collecting!).blobs).to.equal(0);
        expect(await textOf(store, other, digest)).to.equal(content);
      }),
    );

    it(
      'a blob that is in place but has no row yet: it is no rubbish',
      withRace(async ({ store, directory, clock, beforeBatch }) => {
        await clock.advance(1000 * dayMs);
        const session = await store.uploads.begin(other);
        await session.append(contentOf(layer));
        let collecting: ReturnType<typeof collectGarbage> | undefined;
        beforeBatch(async () => {
          collecting = collectGarbage(store, { ...noMercy, uploadsOlderThanMs: 2000 * dayMs });
          await manyTurns(directory);
        });
        await session.commit(digest);
        expect((await collecting!).blobs).to.equal(0);
        expect(await textOf(store, other, digest)).to.equal(content);
      }),
    );

    it(
      'two who push and delete the same blobs: what is pushed can be pulled until it is deleted',
      withRace(async ({ store, directory, clock }) => {
        let pushing = true;
        let collected = 0;
        const collecting = (async () => {
          while (pushing) collected += (await collectGarbage(store, { ...noMercy, blobsOlderThanMs: 1 })).blobs;
        })();
        await Promise.all([pushAndDelete(plant), pushAndDelete(other)]);
        pushing = false;
        await collecting;
        expect(collected).to.be.greaterThan(10);
        for (let pass = 0; pass < 2; pass += 1) {
          await clock.advance(1);
          await collectGarbage(store, noMercy);
        }
        await expectOnlyNeeded(store, directory);
        expect(store.contents.manifests).to.equal(0);

        async function pushAndDelete(name: typeof plant): Promise<void> {
          // As many rounds as it takes to be met by the collector often enough, on a machine however fast or busy.
          for (let round = 0; round < 60 || (collected <= 10 && round < 5_000); round += 1) {
            const next = sampleImage([`${content} ${round % 3}`]);
            for (let tries = 1; !(await isPushed(store, name, next)); tries += 1) expect(tries).to.be.lessThan(50);
            for (const bytes of next.blobs) expect(await textOf(store, name, digestOf(bytes))).to.equal(String(bytes));
            await store.local.deleteManifest(name, next.manifest.digest);
            await clock.advance(1);
            await manyTurns(directory); // with an index in memory no push ever waits: the collector has its turns here
          }
        }
      }),
    );
  });

async function textOf(store: Store, name: RepositoryName, of: Digest): Promise<string> {
  const content = await store.readBlob(name, of);
  return Buffer.concat((await content!.toArray()) as Buffer[]).toString();
}

/** False when a part was collected before its manifest came, which the grace period is there to prevent. */
async function isPushed(store: Store, name: RepositoryName, image: SampleImage): Promise<boolean> {
  try {
    await pushImage(store.local, name, image, v1);
    return true;
  } catch (error) {
    expect(error).to.have.property('code', 'MANIFEST_BLOB_UNKNOWN');
    return false;
  }
}
