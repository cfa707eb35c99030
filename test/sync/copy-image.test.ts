import { expect } from 'chai';
import { MemoryLevel } from 'memory-level';
import { createBlobTransfers } from '../../modules/registry/src/sync/blob-transfers.ts';
import { copyImage, type CopyJob } from '../../modules/registry/src/sync/copy-image.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { descriptorOf, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { digest, repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';
import { MemoryRegistry } from './memory-registry.ts';

const hello = repository('plant/hello');
const v1 = tag('v1');
const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };

describe('copyImage()', () => {
  let source: MemoryRegistry;
  let target: MemoryRegistry;
  const log = new RecordingLog();
  const clock = new ManualClock();

  beforeEach(() => {
    source = new MemoryRegistry();
    target = new MemoryRegistry();
  });

  function copy(job: Partial<CopyJob> = {}, from = source, to = target) {
    const transfers = createBlobTransfers({ clock, log, random: Math.random });
    const { signal } = new AbortController();
    return copyImage(from, to, { repository: hello, reference: v1, tag: v1, ...job }, { signal, transfers, log });
  }

  function writes(): string[] {
    return target.calls.filter((call) => /^(commitBlob|putManifest)/.test(call)).map((call) => call.split(' ')[0]!);
  }

  it('writes blobs, then the manifest, then its referrers and theirs, and the tag last', async () => {
    const image = sampleImage(['layer']);
    const signature = sampleImage(['signature'], { subject: image.manifest });
    const counterSignature = sampleImage(['counter'], { subject: signature.manifest });
    await pushImage(source, hello, image, v1);
    await pushImage(source, hello, signature);
    await pushImage(source, hello, counterSignature);

    const result = await copy();

    expect(result).to.deep.equal({ outcome: 'copied', digest: image.manifest.digest, manifests: 3, tagged: true });
    expect(target.callsOf('putManifest')).to.deep.equal([
      `${hello} ${image.manifest.digest}`,
      `${hello} ${signature.manifest.digest}`,
      `${hello} ${counterSignature.manifest.digest}`,
      `${hello} ${image.manifest.digest} v1`,
    ]);
    expect(writes().slice(0, 3)).to.deep.equal(['commitBlob', 'commitBlob', 'putManifest']);
  });

  it('writes manifest and tag in one step, when there is no referrer', async () => {
    const image = sampleImage(['layer']);
    await pushImage(source, hello, image, v1);
    expect(await copy()).to.include({ manifests: 1, tagged: true });
    expect(target.callsOf('putManifest')).to.deep.equal([`${hello} ${image.manifest.digest} v1`]);
  });

  it('writes the manifest without its tag, when that may not be set', async () => {
    const image = sampleImage(['layer']);
    await pushImage(source, hello, image, v1);
    expect(await copy({ mayTag: async () => false })).to.include({ manifests: 1, tagged: false });
    expect(target.callsOf('putManifest')).to.deep.equal([`${hello} ${image.manifest.digest}`]);
  });

  it('sends nothing but the tag, when the target has the image', async () => {
    await pushImage(source, hello, sampleImage(['layer']), v1);
    await copy();
    target.calls.length = 0;
    source.calls.length = 0;
    expect(await copy()).to.include({ manifests: 0 });
    expect(target.callsOf('hasBlob')).to.deep.equal([]);
    expect(source.callsOf('readBlob')).to.deep.equal([]);
    expect(target.callsOf('putManifest')).to.have.length(1);
  });

  it('finds new referrers of an image that the target has', async () => {
    const image = sampleImage(['layer']);
    await pushImage(source, hello, image, v1);
    await copy();
    await pushImage(source, hello, sampleImage(['sbom'], { subject: image.manifest }));
    expect(await copy({ referrers: false })).to.include({ manifests: 0 });
    expect(await copy()).to.include({ manifests: 1 });
  });

  it('keeps the index and its digest but leaves children out, with a platform filter', async () => {
    const [wanted, unwanted] = [sampleImage(['for amd64']), sampleImage(['for arm64'])];
    const index = sampleIndex([
      [amd64, wanted],
      [arm64, unwanted],
    ]);
    await pushImage(source, hello, index, v1);
    await copy({ platforms: [amd64] });
    expect(await target.resolveTag(hello, v1)).to.equal(index.manifest.digest);
    expect(await target.hasManifest(hello, wanted.manifest.digest)).to.equal(true);
    expect(await target.hasManifest(hello, unwanted.manifest.digest)).to.equal(false);
  });

  it('brings the children that were left out, once the filter is wider', async () => {
    const index = sampleIndex([
      [amd64, sampleImage(['for amd64'])],
      [arm64, sampleImage(['for arm64'])],
    ]);
    await pushImage(source, hello, index, v1);
    await copy({ platforms: [amd64] });
    expect(await copy()).to.include({ manifests: 1 });
    expect(await target.hasManifest(hello, index.children[1]!.manifest.digest)).to.equal(true);
  });

  it('copies referrers of index children, unless told not to', async () => {
    const child = sampleImage(['for amd64']);
    const signature = sampleImage(['signature'], { subject: child.manifest });
    await pushImage(source, hello, sampleIndex([[amd64, child]]), v1);
    await pushImage(source, hello, signature);
    await copy({ childReferrers: false });
    expect(await target.hasManifest(hello, signature.manifest.digest)).to.equal(false);
    await copy();
    expect(await target.hasManifest(hello, signature.manifest.digest)).to.equal(true);
  });

  it('says missing and writes nothing, when the source has no such tag', async () => {
    expect(await copy()).to.deep.equal({ outcome: 'missing' });
    expect(writes()).to.deep.equal([]);
  });

  it('leaves the tag alone, when a layer is missing at the source', async () => {
    const image = sampleImage(['layer']);
    await pushImage(source, hello, image, v1);
    source.readBlob = async () => undefined;
    expect(await copy().catch((error: unknown) => error)).to.have.property('code', 'BLOB_UNKNOWN');
    expect(await target.resolveTag(hello, v1)).to.equal(undefined);
  });

  it('does without a layer that lives elsewhere, when the source lacks it', async () => {
    const base = sampleImage(['layer']);
    const document = JSON.parse(base.manifest.bytes.toString()) as { layers: object[]; mediaType: string };
    document.layers = [{ ...document.layers[0], digest: `sha256:${'0'.repeat(64)}`, urls: ['https://elsewhere/'] }];
    const bytes = Buffer.from(JSON.stringify(document));
    const { digest, mediaType } = descriptorOf(bytes, document.mediaType);
    await pushImage(source, hello, { ...base, manifest: { digest, mediaType, bytes } }, v1);
    expect(await copy()).to.include({ outcome: 'copied', tagged: true });
  });

  it('throws MANIFEST_UNKNOWN and sets no tag, when the source lacks a child', async () => {
    const index = sampleIndex([[amd64, sampleImage(['for amd64'])]]);
    await pushImage(source, hello, index, v1);
    await source.deleteManifest(hello, index.children[0]!.manifest.digest);
    expect(await copy().catch((error: unknown) => error)).to.have.property('code', 'MANIFEST_UNKNOWN');
    expect(await target.resolveTag(hello, v1)).to.equal(undefined);
  });

  it('ends, when the source lists an image as its own referrer', async () => {
    const image = sampleImage(['layer']);
    await pushImage(source, hello, image, v1);
    let listings = 0;
    source.listReferrers = async function* () {
      listings++;
      yield descriptorOf(image.manifest.bytes, image.manifest.mediaType);
    };
    expect(await copy()).to.include({ manifests: 1 });
    expect(listings).to.equal(1);
  });

  it('asks before it sets the tag', async () => {
    await pushImage(source, hello, sampleImage(['layer']), v1);
    expect(await copy({ mayTag: async () => false })).to.include({ manifests: 1, tagged: false });
    expect(await target.resolveTag(hello, v1)).to.equal(undefined);
  });

  it('copies between two stores byte for byte, Docker and OCI', () =>
    withTemporaryDirectory(async (directory) => {
      const open = (name: string) =>
        openStore({ directory: `${directory}/${name}`, clock, log, index: new MemoryLevel() });
      const [from, to] = [await open('from'), await open('to')];
      const transfers = createBlobTransfers({ clock, log, random: Math.random });
      for (const docker of [true, false]) {
        const index = sampleIndex([[amd64, sampleImage(['layer'], { docker })]], { docker });
        await pushImage(from.local, hello, index, v1);
        const job = { repository: hello, reference: v1, tag: v1 };
        await copyImage(from, to.replica, job, { signal: new AbortController().signal, transfers, log });
        expect(await to.findManifest(hello, v1)).to.deep.equal(await from.findManifest(hello, v1));
        expect(digest(index.manifest.digest)).to.equal(await to.resolveTag(hello, v1));
      }
      await from.close();
      await to.close();
    }));
});
