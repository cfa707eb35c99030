import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { loseBlobIn } from './lose-blob.ts';
import { brief, codeOf, collect, withStore } from './with-store.ts';

const plant = repository('plant/hello');
const plant2 = repository('plant2');
const [v1, latest] = [tag('1'), tag('latest')];
const amd64 = { os: 'linux', architecture: 'amd64' };

describe('store images', () => {
  it(
    'names every missing blob in the detail of MANIFEST_BLOB_UNKNOWN, once',
    withStore(async ({ store }) => {
      const image = sampleImage(['a', 'b', 'a']);
      await pushBlob(store.local, plant, image.blobs[0]!);
      const error = await store.local.putManifest(plant, image.manifest).catch((reason: unknown) => reason);
      expect(error).to.deep.include({
        code: 'MANIFEST_BLOB_UNKNOWN',
        detail: ['a', 'b'].map((text) => ({ digest: digestOf(Buffer.from(text)) })),
      });
    }),
  );

  it(
    'takes an index whose missing children are absent on purpose, and no others',
    withStore(async ({ store }) => {
      const [here, absent] = [sampleImage(['here']), sampleImage(['absent'])];
      const index = sampleIndex([[amd64, here] as const, [{ ...amd64, os: 'windows' }, absent] as const]);
      await pushImage(store.replica, plant, here);
      const options = { tag: v1, absent: [absent.manifest.digest] };
      expect(await codeOf(store.replica.putManifest(plant, index.manifest, { tag: v1 }))).to.equal(
        'MANIFEST_BLOB_UNKNOWN',
      );
      await store.replica.putManifest(plant, index.manifest, options);
      expect(await store.resolveTag(plant, v1)).to.equal(index.manifest.digest);
      await store.local.putManifest(plant, index.manifest, { tag: latest });
      expect(await store.resolveTag(plant, latest)).to.equal(index.manifest.digest);
    }),
  );

  it(
    'tells wrong digests, wrong documents and too large ones apart',
    withStore(async ({ store }) => {
      const { manifest } = sampleImage([]);
      const other = digestOf(Buffer.from('other'));
      const huge = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');
      const bad = Buffer.from('[]');
      const put = (change: object) => codeOf(store.local.putManifest(plant, { ...manifest, ...change }));
      expect(await put({ digest: other })).to.equal('DIGEST_INVALID');
      expect(await put({ bytes: huge, digest: digestOf(huge) })).to.equal('MANIFEST_TOO_LARGE');
      expect(await put({ bytes: bad, digest: digestOf(bad) })).to.equal('MANIFEST_INVALID');
      expect(await store.hasRepository(plant)).to.equal(false);
    }),
  );

  it(
    'journals a new manifest with its tag as one push, a moved tag as tag, an identical put not at all',
    withStore(async ({ store }) => {
      const [first, second] = [sampleImage(['1']), sampleImage(['2'])];
      await pushImage(store.local, plant, first, v1);
      await pushImage(store.local, plant, first, v1);
      await pushImage(store.local, plant, first, latest);
      await pushImage(store.replica, plant, second, latest);
      await pushImage(store.replica, plant, second);
      await store.local.deleteTag(plant, latest);
      await store.local.deleteManifest(plant, first.manifest.digest);
      const changes = await collect(store.journal.readAfter(0));
      expect(changes.map(brief)).to.deep.equal([
        'push plant/hello:1',
        'tag plant/hello:latest',
        'push plant/hello:latest',
        'untag plant/hello:latest',
        'delete plant/hello',
      ]);
      expect(changes.map(({ sequence }) => sequence)).to.deep.equal([1, 2, 3, 4, 5]);
      expect(changes.map(({ origin }) => origin)).to.deep.equal(['local', 'local', 'parent', 'local', 'local']);
      expect(changes[3]!.digest).to.equal(second.manifest.digest);
    }),
  );

  it(
    'remembers what parent and we last agreed on',
    withStore(async ({ store, clock }) => {
      const [agreed, ours] = [sampleImage(['agreed']), sampleImage(['ours'])];
      await pushImage(store.replica, plant, agreed, v1);
      const before = clock.now();
      await clock.advance(1000);
      await pushImage(store.local, plant, agreed, v1);
      expect(await store.describeTag(plant, v1)).to.deep.equal({
        tag: v1,
        digest: agreed.manifest.digest,
        created: before,
        updated: before,
        origin: 'parent',
        base: agreed.manifest.digest,
      });
      await pushImage(store.local, plant, ours, v1);
      expect(await store.describeTag(plant, v1)).to.deep.equal({
        tag: v1,
        digest: ours.manifest.digest,
        created: before,
        updated: clock.now(),
        origin: 'local',
        base: agreed.manifest.digest,
      });
      const { head } = store.journal;
      await store.replica.putManifest(plant, ours.manifest, { tag: v1 });
      expect(await store.describeTag(plant, v1)).to.deep.include({ origin: 'parent', base: ours.manifest.digest });
      expect(store.journal.head).to.equal(head);
      expect(await store.describeTag(plant, latest)).to.equal(undefined);
    }),
  );

  it(
    'takes a manifest that is here already only while its blobs are',
    withStore(async ({ store, directory, reopen }) => {
      const image = sampleImage(['layer']);
      await pushImage(store.local, plant, image, v1);
      await store.close();
      await loseBlobIn(directory, plant, digestOf(image.blobs[1]!));
      const again = await reopen();
      expect(await codeOf(again.local.putManifest(plant, image.manifest, { tag: latest }))).to.equal(
        'MANIFEST_BLOB_UNKNOWN',
      );
      expect(await again.resolveTag(plant, latest)).to.equal(undefined);
      await pushImage(again.local, plant, image, latest);
      expect(await again.resolveTag(plant, latest)).to.equal(image.manifest.digest);
    }),
  );

  it(
    'lets a client take away a blob only while no manifest of the repository needs it',
    withStore(async ({ store }) => {
      const [image, other] = [sampleImage(['shared', 'own']), sampleImage(['shared'])];
      const [shared, own] = [digestOf(Buffer.from('shared')), digestOf(Buffer.from('own'))];
      await pushImage(store.local, plant, image);
      await pushImage(store.local, plant, other);
      await pushBlob(store.local, plant2, Buffer.from('shared'));
      await store.local.deleteManifest(plant, image.manifest.digest);
      expect(await codeOf(store.local.deleteBlob(plant, shared))).to.equal('REGISTRY_DISALLOWED_OPERATION');
      expect(await store.local.deleteBlob(plant, own)).to.equal(true);
      expect(await store.local.deleteBlob(plant2, shared)).to.equal(true);
      await store.local.deleteManifest(plant, other.manifest.digest);
      expect(await store.local.deleteBlob(plant, shared)).to.equal(true);
    }),
  );

  it(
    'keeps a blob that a manifest comes to need while its deletion is decided',
    withStore(async ({ store }) => {
      const image = sampleImage(['layer']);
      for (const blob of image.blobs) await pushBlob(store.local, plant, blob);
      const layer = digestOf(image.blobs[1]!);
      const deletion = store.local.deleteBlob(plant, layer);
      await store.local.putManifest(plant, image.manifest, { tag: v1 });
      expect(await codeOf(deletion)).to.equal('REGISTRY_DISALLOWED_OPERATION');
      expect(await store.statBlob(plant, layer)).to.deep.equal({ size: 5 });
    }),
  );

  it(
    'lists a repository once it has a manifest, and forgets it with the last thing in it',
    withStore(async ({ store }) => {
      const image = sampleImage([]);
      const [config] = image.blobs;
      await pushBlob(store.local, plant, config!);
      expect(await store.hasRepository(plant)).to.equal(true);
      expect(await collect(store.listRepositories())).to.deep.equal([]);
      await store.local.putManifest(plant, image.manifest);
      expect(await collect(store.listRepositories())).to.deep.equal([plant]);
      await store.local.deleteManifest(plant, image.manifest.digest);
      expect(await collect(store.listRepositories())).to.deep.equal([]);
      expect(await store.local.deleteBlob(plant, digestOf(config!))).to.equal(true);
      expect(await store.local.deleteBlob(plant, digestOf(config!))).to.equal(false);
      expect(await store.hasRepository(plant)).to.equal(false);
    }),
  );

  it(
    'deletes a repository with all it holds, and nothing of its neighbours',
    withStore(async ({ store }) => {
      const image = sampleImage(['x']);
      const signature = sampleImage(['s'], { subject: image.manifest });
      for (const name of [plant, plant2, repository('plant/hello/more')]) {
        await pushImage(store.local, name, image, v1);
        await pushImage(store.local, name, signature);
      }
      expect(await store.deleteRepository(plant)).to.equal(true);
      expect(await store.deleteRepository(plant)).to.equal(false);
      expect(await store.hasRepository(plant)).to.equal(false);
      expect(await store.statBlob(plant, digestOf(image.blobs[0]!))).to.equal(undefined);
      expect(await collect(store.listTags(plant))).to.deep.equal([]);
      expect(await collect(store.listReferrers(plant, image.manifest.digest))).to.deep.equal([]);
      expect(await collect(store.listRepositories())).to.deep.equal(['plant/hello/more', 'plant2']);
      expect(await collect(store.listTags(plant2))).to.deep.equal([{ tag: '1', digest: image.manifest.digest }]);
      expect(await collect(store.listReferrers(plant2, image.manifest.digest))).to.have.length(1);
    }),
  );

  it(
    'opens a blob for reading at any position, through its link only',
    withStore(async ({ store }) => {
      const bytes = Buffer.from('0123456789');
      await pushBlob(store.local, plant, bytes);
      const blob = await store.openBlob(plant, digestOf(bytes));
      const buffer = Buffer.alloc(4);
      expect(blob!.size).to.equal(10);
      expect(await blob!.read(buffer, 8)).to.equal(2);
      expect(String(buffer.subarray(0, 2))).to.equal('89');
      expect(await blob!.read(buffer, 10)).to.equal(0);
      await blob!.close();
      expect(await store.openBlob(plant2, digestOf(bytes))).to.equal(undefined);
    }),
  );

  it(
    'mounts a blob that any repository has',
    withStore(async ({ store }) => {
      const bytes = Buffer.from('shared');
      await pushBlob(store.local, plant, bytes);
      expect(await store.local.mountBlob(plant2, digestOf(bytes))).to.equal(true);
      expect(await store.statBlob(plant2, digestOf(bytes))).to.deep.equal({ size: bytes.length });
      expect(await store.local.mountBlob(plant2, digestOf(Buffer.from('nobody')))).to.equal(false);
    }),
  );

  it(
    'counts what it holds, and counts it the same after a restart',
    withStore(async ({ store, reopen }) => {
      const [one, two] = [sampleImage(['shared', 'one']), sampleImage(['shared', 'two'])];
      await pushImage(store.local, plant, one, v1);
      await pushImage(store.local, plant2, two, v1);
      await store.local.deleteManifest(plant2, two.manifest.digest);
      const contents = new Set([...one.blobs, ...two.blobs].map(String));
      expect(store.contents).to.deep.equal({
        usedBytes: [...contents].join('').length + one.manifest.bytes.length,
        blobs: contents.size,
        manifests: 1,
        repositories: 2,
      });
      expect(await store.freeBytes()).to.be.greaterThan(0);
      const before = store.contents;
      expect((await reopen()).contents).to.deep.equal(before);
    }),
  );
});
