import { expect } from 'chai';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import type { SessionRecords } from '../../modules/registry/src/parent/kept-sessions.ts';
import { ParentError, type ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { partBytes } from '../../modules/registry/src/parent/upload.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { referrersTag } from '../../modules/registry/src/oci/names.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { hasDockerRegistry, startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import { rm } from 'node:fs/promises';

const account = { name: 'sync', password: 'sync-password' };
const plant = repository('plant/hello');

describe('connectParent() to docker-registry', () => {
  let directory: string;
  let registry: DockerRegistry;
  let parent: ParentRegistry;

  before(async function () {
    if (!(await hasDockerRegistry())) this.skip();
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    registry = await startDockerRegistry({ directory: join(directory, 'registry'), ...account });
    parent = connect(account);
  });

  afterEach(async () => {
    await parent.close();
    await registry.stop();
    await rm(directory, { recursive: true, force: true });
  });

  function connect(credentials: typeof account, records?: SessionRecords): ParentRegistry {
    const { endpoint } = registry;
    const log = new RecordingLog();
    return connectParent({
      ...{ endpoint, protocol: 'http', credentials, clock: systemClock, log },
      ...(records && { records }),
    });
  }

  it('answers a ping, and refuses a wrong password', async () => {
    await parent.ping();
    const stranger = connect({ ...account, password: 'wrong' });
    try {
      expect(await failureOf(stranger.ping())).to.equal('unauthorized');
    } finally {
      await stranger.close();
    }
  });

  it('takes and returns images byte for byte', async () => {
    const [amd64, docker] = [sampleImage(['one', 'two']), sampleImage(['three'], { docker: true })];
    const index = sampleIndex([[{ os: 'linux', architecture: 'amd64' }, amd64]]);
    await pushImage(parent, plant, index, tag('1.0'));
    await pushImage(parent, plant, docker, tag('docker'));
    expect(await parent.findManifest(plant, tag('1.0'))).to.deep.equal(index.manifest);
    expect(await parent.findManifest(plant, amd64.manifest.digest)).to.deep.equal(amd64.manifest);
    expect(await parent.findManifest(plant, tag('docker'))).to.deep.equal(docker.manifest);
    expect(await parent.findManifest(plant, tag('absent'))).to.equal(undefined);
    expect(await parent.resolveTag(plant, tag('1.0'))).to.equal(index.manifest.digest);
    expect(await parent.hasManifest(repository('nowhere'), index.manifest.digest)).to.equal(false);
    expect(await all(parent.listRepositories())).to.deep.equal([plant]);
    expect(await all(parent.listTags(plant))).to.deep.equal([{ tag: '1.0' }, { tag: 'docker' }]);
    expect(await all(parent.listTags(repository('nowhere')))).to.deep.equal([]);
  });

  it('sends a blob from an offset, and nothing from its end', async () => {
    const bytes = Buffer.from('0123456789');
    await pushBlob(parent, plant, bytes);
    const read = async (offset: number) => (await parent.readBlob(plant, digestOf(bytes), { offset }))?.toArray();
    expect(String(Buffer.concat((await read(4)) as Buffer[]))).to.equal('456789');
    expect(await read(10)).to.deep.equal([]);
    expect(await failureOf(read(11))).to.equal('broken');
    expect(await parent.readBlob(plant, digestOf(Buffer.from('absent')))).to.equal(undefined);
  });

  it('goes on with an upload, in parts larger than one request', async () => {
    const bytes = Buffer.alloc(20 * 1024 * 1024, 'layer ');
    const blob = { digest: digestOf(bytes), size: bytes.length };
    const first = await parent.beginBlob(plant, blob);
    await first.append(Readable.from([bytes.subarray(0, 9_000_000)]));
    await first.release();
    const second = await parent.beginBlob(plant, blob);
    expect(second.offset).to.equal(9_000_000);
    await second.append(Readable.from([bytes.subarray(second.offset)]));
    await second.commit(blob.digest);
    expect(await parent.hasBlob(plant, blob.digest)).to.equal(true);
  });

  it('goes on with an upload after a restart on both sides', async () => {
    const bytes = Buffer.alloc(2 * partBytes + 1000, 'layer ');
    const blob = { digest: digestOf(bytes), size: bytes.length };
    const rows = new Map<string, unknown>();
    const records = {
      get: async (key: string) => rows.get(key),
      put: async (key: string, value: unknown) => void rows.set(key, structuredClone(value)),
    };
    const before = connect(account, records);
    const first = await before.beginBlob(plant, blob);
    await first.append(Readable.from([bytes.subarray(0, partBytes)]));
    await first.release();
    await before.close();
    await registry.stop();
    await registry.start();
    const after = connect(account, records);
    try {
      const second = await after.beginBlob(plant, blob);
      expect(second.offset).to.equal(partBytes);
      await second.append(Readable.from([bytes.subarray(partBytes)]));
      await second.commit(blob.digest);
      expect(await after.hasBlob(plant, blob.digest)).to.equal(true);
    } finally {
      await after.close();
    }
  });

  it('begins an upload anew that the registry has given up because a part of it was cut', async () => {
    const bytes = Buffer.alloc(2 * partBytes + 1000, 'layer ');
    const blob = { digest: digestOf(bytes), size: bytes.length };
    const stop = new AbortController();
    const first = await parent.beginBlob(plant, blob);
    let left = partBytes + partBytes / 2;
    first.paceWith?.(async (sizeBytes) => {
      left -= sizeBytes;
      if (left < 0) stop.abort(new Error('stop'));
      return sizeBytes;
    });
    const cut = first.append(Readable.from([bytes]), { signal: stop.signal });
    expect(await cut.catch((error: unknown) => error)).to.equal(stop.signal.reason);
    await first.release();
    // While the registry has not noticed the cut, it refuses to go on behind it.
    await until('the blob arrives', async () => {
      const next = await parent.beginBlob(plant, blob);
      try {
        await next.append(Readable.from([bytes.subarray(next.offset)]));
        await next.commit(blob.digest);
      } catch (error) {
        await next.release();
        throw error;
      }
      return parent.hasBlob(plant, blob.digest);
    });
  });

  it('begins an upload anew when the registry has lost it', async () => {
    const bytes = Buffer.from('a layer');
    const blob = { digest: digestOf(bytes), size: bytes.length };
    const first = await parent.beginBlob(plant, blob);
    await first.append(Readable.from([bytes.subarray(0, 3)]));
    await first.release();
    await rm(join(directory, 'registry/content/docker/registry/v2/repositories', plant, '_uploads'), {
      recursive: true,
    });
    const second = await parent.beginBlob(plant, blob);
    expect(second.offset).to.equal(0);
    await second.append(Readable.from([bytes]));
    await second.commit(blob.digest);
  });

  it('refuses and discards content of another digest', async () => {
    const digest = digestOf(Buffer.from('truth'));
    const upload = await parent.beginBlob(plant, { digest, size: 5 });
    await upload.append(Readable.from([Buffer.from('lies!')]));
    expect(await failureOf(upload.commit(digest))).to.equal('refused');
    expect(await parent.hasBlob(plant, digest)).to.equal(false);
  });

  it('has a blob mounted from where it was sent, and goes on with the session where it was not', async () => {
    const bytes = Buffer.from('shared');
    await pushBlob(parent, plant, bytes);
    expect(await parent.mountBlob(repository('other'), digestOf(bytes))).to.equal(true);
    expect(await parent.hasBlob(repository('other'), digestOf(bytes))).to.equal(true);
    const unknown = Buffer.from('unknown');
    expect(await parent.mountBlob(plant, digestOf(unknown))).to.equal(false);
    await pushBlob(parent, plant, unknown);
    expect(await parent.hasBlob(plant, digestOf(unknown))).to.equal(true);
  });

  it('refuses a manifest whose blobs are missing', async () => {
    expect(await failureOf(parent.putManifest(plant, sampleImage(['absent']).manifest))).to.equal('refused');
  });

  it('deletes manifests by digest; tags alone it cannot', async () => {
    const image = sampleImage(['x']);
    await pushImage(parent, plant, image, tag('1'));
    expect(await failureOf(parent.deleteTag(plant, tag('1')))).to.equal('denied');
    expect(await parent.deleteManifest(plant, image.manifest.digest)).to.equal(true);
    expect(await parent.deleteManifest(plant, image.manifest.digest)).to.equal(false);
    expect(await parent.resolveTag(plant, tag('1'))).to.equal(undefined);
  });

  it('has its referrers kept under the fallback tag', async () => {
    const image = sampleImage(['x']);
    await pushImage(parent, plant, image, tag('1'));
    const options = { subject: image.manifest, artifactType: 'application/vnd.example', annotations: { a: 'b' } };
    const [one, two] = [sampleImage(['one'], options), sampleImage(['two'], options)];
    await Promise.all([pushImage(parent, plant, one), pushImage(parent, plant, two)]);
    const referrers = await all(parent.listReferrers(plant, image.manifest.digest));
    expect(referrers.map(({ digest }) => digest)).to.have.members([one.manifest.digest, two.manifest.digest]);
    expect(referrers[0]).to.deep.include({ artifactType: 'application/vnd.example', annotations: { a: 'b' } });
    await parent.deleteManifest(plant, one.manifest.digest);
    expect(await all(parent.listReferrers(plant, image.manifest.digest))).to.have.length(1);
    expect(await parent.resolveTag(plant, referrersTag(image.manifest.digest))).to.be.a('string');
  });
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof ParentError ? error.failure : error),
  );
}
