import { expect } from 'chai';
import { Readable } from 'node:stream';
import { digestOf, type Digest } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import type { ImageSource, ImageTarget, StoredManifest } from '../../modules/registry/src/oci/registry.ts';
import { descriptorOf, pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';

export interface OpenRegistry {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  close(): Promise<void>;
}

const plant = repository('plant/hello');
const other = repository('plant2');
const nowhere = repository('nowhere');
const amd64 = { os: 'linux', architecture: 'amd64' };
const armv7 = { os: 'linux', architecture: 'arm', variant: 'v7' };

/**
 * What every registry must do that is copied from (`source`) and to (`target`), both faces of one registry.
 * `open` gives an empty one, reachable or local. It asserts on behaviour; of an error only that there is one,
 * since a remote registry tells its reasons in its own words.
 */
export function describeImageRegistry(name: string, open: () => Promise<OpenRegistry>): void {
  describe(`image registry: ${name}`, () => {
    let registry: OpenRegistry;
    let source: ImageSource;
    let target: ImageTarget;

    beforeEach(async () => {
      registry = await open();
      ({ source, target } = registry);
    });
    afterEach(() => registry.close());

    describe('manifests', () => {
      for (const docker of [false, true]) {
        it(`returns an image byte for byte with its media type, ${docker ? 'docker' : 'OCI'}`, async () => {
          const image = sampleImage(['one', 'two'], { docker });
          await pushImage(target, plant, image, tag('1.0'));
          expect(await source.findManifest(plant, tag('1.0'))).to.deep.include(image.manifest);
          expect(await source.findManifest(plant, image.manifest.digest)).to.deep.include(image.manifest);
          for (const blob of image.blobs) expect(await contentOf(plant, digestOf(blob))).to.deep.equal(blob);
        });

        it(`returns an index and its children, ${docker ? 'docker' : 'OCI'}`, async () => {
          const children = [amd64, armv7].map((platform) => sampleImage(['layer'], { docker, platform }));
          const index = sampleIndex([[amd64, children[0]!] as const, [armv7, children[1]!] as const], { docker });
          await pushImage(target, plant, index, tag('multi'));
          expect(await source.findManifest(plant, tag('multi'))).to.deep.include(index.manifest);
          for (const child of children) {
            expect(await source.findManifest(plant, child.manifest.digest)).to.deep.include(child.manifest);
            expect(await target.hasManifest(plant, child.manifest.digest)).to.equal(true);
          }
        });
      }

      it('keeps whitespace, key order and unknown fields of a manifest', async () => {
        const config = Buffer.from('{}');
        await pushBlob(target, plant, config);
        const bytes = Buffer.from(
          `\n{ "x-unknown": [1,  2],\t"layers": [], "config": ${JSON.stringify(descriptorOf(config, mediaTypes.ociEmpty))},
             "schemaVersion": 2 }\n`,
        );
        const manifest = { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes };
        await target.putManifest(plant, manifest, { tag: tag('odd') });
        expect(await source.findManifest(plant, tag('odd'))).to.deep.include(manifest);
      });

      it('takes an empty index', async () => {
        const index = sampleIndex([]);
        await target.putManifest(plant, index.manifest, { tag: tag('empty') });
        expect(await source.findManifest(plant, tag('empty'))).to.deep.include(index.manifest);
      });

      it('says undefined and false for what is not there', async () => {
        const { manifest } = sampleImage(['absent']);
        expect(await source.findManifest(nowhere, tag('x'))).to.equal(undefined);
        expect(await source.findManifest(nowhere, manifest.digest)).to.equal(undefined);
        expect(await target.hasManifest(nowhere, manifest.digest)).to.equal(false);
        await pushImage(target, plant, sampleImage(['present']), tag('1'));
        expect(await source.findManifest(plant, tag('x'))).to.equal(undefined);
        expect(await source.findManifest(plant, manifest.digest)).to.equal(undefined);
        expect(await target.hasManifest(plant, manifest.digest)).to.equal(false);
      });

      it('does not show a manifest in another repository', async () => {
        const image = sampleImage(['mine']);
        await pushImage(target, plant, image, tag('1'));
        expect(await source.findManifest(other, image.manifest.digest)).to.equal(undefined);
        expect(await source.findManifest(other, tag('1'))).to.equal(undefined);
      });

      it('refuses a manifest whose blob is missing, and keeps nothing of it', async () => {
        const image = sampleImage(['missing']);
        await pushBlob(target, plant, image.blobs[0]!);
        await rejects(target.putManifest(plant, image.manifest, { tag: tag('1') }));
        expect(await source.findManifest(plant, image.manifest.digest)).to.equal(undefined);
        expect(await source.resolveTag(plant, tag('1'))).to.equal(undefined);
      });

      it('refuses a manifest whose blob is in another repository only', async () => {
        const image = sampleImage(['elsewhere']);
        await pushImage(target, other, image);
        await rejects(target.putManifest(plant, image.manifest));
      });

      it('refuses an index whose child is missing', async () => {
        const index = sampleIndex([[amd64, sampleImage(['child'])]]);
        await rejects(target.putManifest(plant, index.manifest, { tag: tag('1') }));
        expect(await source.resolveTag(plant, tag('1'))).to.equal(undefined);
      });

      it('does not demand layers that are distributed elsewhere', async () => {
        const config = Buffer.from('{"os":"windows"}');
        await pushBlob(target, plant, config);
        const foreign = {
          ...descriptorOf(Buffer.from('not here'), 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'),
          urls: ['https://example.invalid/layer'],
        };
        const manifest = manifestOf({ config: descriptorOf(config, 'application/json'), layers: [foreign] });
        await target.putManifest(plant, manifest, { tag: tag('windows') });
        expect(await source.resolveTag(plant, tag('windows'))).to.equal(manifest.digest);
      });

      it('refuses bytes that do not have the digest', async () => {
        const [image, wrong] = [sampleImage(['a']), sampleImage(['b'])];
        await pushImage(target, plant, image);
        await rejects(target.putManifest(plant, { ...image.manifest, digest: wrong.manifest.digest }));
        expect(await target.hasManifest(plant, wrong.manifest.digest)).to.equal(false);
      });

      it('refuses what is not a manifest', async () => {
        const bytes = Buffer.from('{"schemaVersion":');
        await rejects(target.putManifest(plant, { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes }));
      });

      it('takes a manifest of almost 4 MB and refuses a larger one', async () => {
        const config = Buffer.from('{}');
        await pushBlob(target, plant, config);
        const sized = (length: number): StoredManifest =>
          manifestOf({
            config: descriptorOf(config, mediaTypes.ociEmpty),
            layers: [],
            annotations: { filler: 'x'.repeat(length) },
          });
        const large = sized(3_900_000);
        await target.putManifest(plant, large, { tag: tag('large') });
        expect(await source.findManifest(plant, tag('large'))).to.deep.include(large);
        await rejects(target.putManifest(plant, sized(5_000_000)));
      });
    });

    describe('tags', () => {
      it('lists in byte order, of one repository only', async () => {
        const image = sampleImage(['x']);
        const tags = ['latest', '1.10', '1.2', 'V2', '_x', '1.2-rc', '1.2.0', 'a'];
        for (const text of tags) await pushImage(target, plant, image, tag(text));
        await pushImage(target, other, image, tag('foreign'));
        expect(await tagsOf(plant)).to.deep.equal(tags.toSorted());
        for await (const entry of source.listTags(plant)) {
          expect(entry.digest ?? (await source.resolveTag(plant, entry.tag))).to.equal(image.manifest.digest);
        }
      });

      it('lists nothing for an unknown repository', async () => {
        expect(await tagsOf(nowhere)).to.deep.equal([]);
      });

      it('points at what was pushed last', async () => {
        const [first, second] = [sampleImage(['first']), sampleImage(['second'])];
        await pushImage(target, plant, first, tag('latest'));
        await pushImage(target, plant, second, tag('latest'));
        expect(await source.resolveTag(plant, tag('latest'))).to.equal(second.manifest.digest);
        expect(await source.findManifest(plant, first.manifest.digest)).to.deep.include(first.manifest);
        expect(await source.resolveTag(plant, tag('unknown'))).to.equal(undefined);
      });

      it('can be deleted alone', async () => {
        const image = sampleImage(['x']);
        await pushImage(target, plant, image, tag('a'));
        await pushImage(target, plant, image, tag('b'));
        expect(await target.deleteTag(plant, tag('a'))).to.equal(true);
        expect(await target.deleteTag(plant, tag('a'))).to.equal(false);
        expect(await tagsOf(plant)).to.deep.equal(['b']);
        expect(await target.hasManifest(plant, image.manifest.digest)).to.equal(true);
      });

      it('go with their manifest', async () => {
        const [gone, stays] = [sampleImage(['gone']), sampleImage(['stays'])];
        await pushImage(target, plant, gone, tag('a'));
        await pushImage(target, plant, gone, tag('b'));
        await pushImage(target, plant, stays, tag('c'));
        expect(await target.deleteManifest(plant, gone.manifest.digest)).to.equal(true);
        expect(await target.deleteManifest(plant, gone.manifest.digest)).to.equal(false);
        expect(await tagsOf(plant)).to.deep.equal(['c']);
        expect(await source.findManifest(plant, gone.manifest.digest)).to.equal(undefined);
        expect(await source.findManifest(plant, tag('a'))).to.equal(undefined);
      });
    });

    describe('repositories', () => {
      it('are listed in byte order', async () => {
        const names = ['a/b', 'a-b', 'a', 'a.b', 'ab', 'a/b/c', 'a0'];
        for (const text of names) await pushImage(target, repository(text), sampleImage(['x']), tag('1'));
        const listed: string[] = [];
        for await (const found of source.listRepositories()) listed.push(found);
        expect(listed).to.deep.equal(names.toSorted());
      });
    });

    describe('referrers', () => {
      it('lists what refers to a manifest, with artifact type and annotations', async () => {
        const image = sampleImage(['x']);
        await pushImage(target, plant, image, tag('1'));
        const signature = sampleImage(['signature'], {
          subject: image.manifest,
          artifactType: 'application/vnd.example.signature',
          annotations: { signer: 'me' },
        });
        const sbom = sampleImage(['sbom'], { subject: image.manifest });
        await pushImage(target, plant, signature);
        await pushImage(target, plant, sbom);
        const referrers = await referrersOf(plant, image.manifest.digest);
        expect(referrers.map(({ digest }) => digest)).to.have.members([
          signature.manifest.digest,
          sbom.manifest.digest,
        ]);
        expect(referrers.find(({ digest }) => digest === signature.manifest.digest)).to.deep.include({
          mediaType: mediaTypes.ociManifest,
          size: signature.manifest.bytes.length,
          artifactType: 'application/vnd.example.signature',
          annotations: { signer: 'me' },
        });
        expect(referrers.find(({ digest }) => digest === sbom.manifest.digest)).to.deep.include({
          artifactType: 'application/vnd.oci.image.config.v1+json',
        });
      });

      it('may come before their subject', async () => {
        const image = sampleImage(['later']);
        const signature = sampleImage(['early'], { subject: image.manifest, artifactType: 'application/vnd.s' });
        await pushImage(target, plant, signature);
        expect(await referrersOf(plant, image.manifest.digest)).to.have.length(1);
        expect(await referrersOf(other, image.manifest.digest)).to.deep.equal([]);
        expect(await referrersOf(nowhere, image.manifest.digest)).to.deep.equal([]);
      });

      it('are no longer listed once deleted', async () => {
        const image = sampleImage(['x']);
        const signature = sampleImage(['s'], { subject: image.manifest, artifactType: 'application/vnd.s' });
        await pushImage(target, plant, image, tag('1'));
        await pushImage(target, plant, signature);
        await target.deleteManifest(plant, signature.manifest.digest);
        expect(await referrersOf(plant, image.manifest.digest)).to.deep.equal([]);
      });
    });

    describe('blobs', () => {
      it('are read from an offset', async () => {
        const bytes = Buffer.from('0123456789');
        await pushBlob(target, plant, bytes);
        for (const offset of [0, 1, 9]) {
          expect(String(await contentOf(plant, digestOf(bytes), offset))).to.equal('0123456789'.slice(offset));
        }
      });

      it('may be empty', async () => {
        const bytes = Buffer.alloc(0);
        const upload = await target.beginBlob(plant, { digest: digestOf(bytes), size: 0 });
        await upload.commit(digestOf(bytes));
        expect(await target.hasBlob(plant, digestOf(bytes))).to.equal(true);
        expect(await contentOf(plant, digestOf(bytes))).to.deep.equal(bytes);
      });

      it('are undefined and false when they are not there', async () => {
        const digest = digestOf(Buffer.from('absent'));
        expect(await source.readBlob(nowhere, digest)).to.equal(undefined);
        expect(await target.hasBlob(nowhere, digest)).to.equal(false);
      });

      it('are seen only in the repository they were pushed to', async () => {
        const bytes = Buffer.from('mine');
        await pushBlob(target, plant, bytes);
        expect(await target.hasBlob(other, digestOf(bytes))).to.equal(false);
        expect(await source.readBlob(other, digestOf(bytes))).to.equal(undefined);
      });

      it('are there after a mount that says so, and not after one that does not', async () => {
        const bytes = Buffer.from('shared');
        await pushBlob(target, plant, bytes);
        const isMounted = await target.mountBlob(other, digestOf(bytes));
        expect(await target.hasBlob(other, digestOf(bytes))).to.equal(isMounted);
        if (isMounted) expect(await contentOf(other, digestOf(bytes))).to.deep.equal(bytes);
        expect(await target.mountBlob(other, digestOf(Buffer.from('nobody')))).to.equal(false);
      });

      it('may be larger than any buffer on the way', async () => {
        const bytes = Buffer.alloc(5 * 1024 * 1024 + 7, 'abcdefghijk');
        await pushBlob(target, plant, bytes);
        expect(digestOf(await contentOf(plant, digestOf(bytes)))).to.equal(digestOf(bytes));
      });

      it('may be named by sha512, and so may manifests', async () => {
        const bytes = Buffer.from('sha512');
        const digest = digestOf(bytes, 'sha512');
        const upload = await target.beginBlob(plant, { digest, size: bytes.length });
        await upload.append(Readable.from([bytes]));
        await upload.commit(digest);
        expect(await contentOf(plant, digest)).to.deep.equal(bytes);
        const { bytes: document, mediaType } = manifestOf({
          config: { mediaType: 'application/json', digest, size: bytes.length },
          layers: [],
        });
        const manifest = { digest: digestOf(document, 'sha512'), mediaType, bytes: document };
        await target.putManifest(plant, manifest);
        expect(await source.findManifest(plant, manifest.digest)).to.deep.include(manifest);
      });

      it('stop being read when the signal fires', async () => {
        const bytes = Buffer.alloc(3 * 1024 * 1024, 'x');
        await pushBlob(target, plant, bytes);
        const abort = new AbortController();
        const content = await source.readBlob(plant, digestOf(bytes), { signal: abort.signal });
        await rejects(
          (async () => {
            for await (const chunk of content!) if (chunk) abort.abort();
          })(),
        );
      });
    });

    describe('uploads', () => {
      const bytes = Buffer.alloc(300_000, 'the content of a layer ');
      const blob = { digest: digestOf(bytes), size: bytes.length };

      it('are invisible until they are committed', async () => {
        const upload = await target.beginBlob(plant, blob);
        expect(upload.offset).to.equal(0);
        await upload.append(Readable.from([bytes]));
        expect(upload.offset).to.equal(bytes.length);
        expect(await target.hasBlob(plant, blob.digest)).to.equal(false);
        await upload.commit(blob.digest);
        expect(await target.hasBlob(plant, blob.digest)).to.equal(true);
      });

      it('go on where they were released', async () => {
        const first = await target.beginBlob(plant, blob);
        await first.append(Readable.from([bytes.subarray(0, 100_000)]));
        await first.release();
        const second = await target.beginBlob(plant, blob);
        expect(second.offset).to.equal(100_000);
        await second.append(Readable.from([bytes.subarray(100_000, 200_000)]));
        await second.append(Readable.from([bytes.subarray(200_000)]));
        await second.commit(blob.digest);
        expect(await contentOf(plant, blob.digest)).to.deep.equal(bytes);
      });

      it('keep a prefix of what came before the content broke off', async () => {
        const first = await target.beginBlob(plant, blob);
        await rejects(first.append(brokenOff(bytes.subarray(0, 150_000))));
        await first.release();
        const second = await target.beginBlob(plant, blob);
        expect(second.offset).to.be.at.most(150_000);
        await second.append(Readable.from([bytes.subarray(second.offset)]));
        await second.commit(blob.digest);
        expect(await contentOf(plant, blob.digest)).to.deep.equal(bytes);
      });

      it('begin anew after a cancel', async () => {
        const first = await target.beginBlob(plant, blob);
        await first.append(Readable.from([bytes.subarray(0, 100_000)]));
        await first.cancel();
        const second = await target.beginBlob(plant, blob);
        expect(second.offset).to.equal(0);
        await second.cancel();
      });

      it('are refused and discarded when the content has another digest', async () => {
        const first = await target.beginBlob(plant, blob);
        await first.append(Readable.from([Buffer.alloc(bytes.length, 'lies')]));
        await rejects(first.commit(blob.digest));
        expect(await target.hasBlob(plant, blob.digest)).to.equal(false);
        await pushBlob(target, plant, bytes);
        expect(await contentOf(plant, blob.digest)).to.deep.equal(bytes);
      });

      it('of the same blob to two repositories both end well', async () => {
        await Promise.all([pushBlob(target, plant, bytes), pushBlob(target, other, bytes)]);
        expect(await target.hasBlob(plant, blob.digest)).to.equal(true);
        expect(await target.hasBlob(other, blob.digest)).to.equal(true);
      });
    });

    async function contentOf(name: RepositoryName, digest: Digest, offset = 0): Promise<Buffer> {
      const content = await source.readBlob(name, digest, { offset });
      if (!content) throw new Error(`${digest} is not there`);
      return Buffer.concat((await content.toArray()) as Buffer[]);
    }

    async function tagsOf(name: RepositoryName): Promise<string[]> {
      const found: string[] = [];
      for await (const entry of source.listTags(name)) found.push(entry.tag);
      return found;
    }

    async function referrersOf(name: RepositoryName, subject: Digest) {
      const found = [];
      for await (const descriptor of source.listReferrers(name, subject)) found.push(descriptor);
      return found;
    }
  });
}

function manifestOf(fields: object): StoredManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, ...fields }));
  return { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes };
}

async function* brokenOff(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
  throw new Error('the line broke');
}

async function rejects(promise: Promise<unknown>): Promise<void> {
  const outcome = await promise.then(
    () => 'resolved',
    () => 'rejected',
  );
  expect(outcome).to.equal('rejected');
}
