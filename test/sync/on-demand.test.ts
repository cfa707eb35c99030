import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { descriptorOf, pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { until } from '../helpers/until.ts';
import { reader, startRegistry, type RegistryServer } from '../http/registry-server.ts';
import { patiently } from './patiently.ts';
import { download, openSite, settingsWith, type OnDemandSite } from './on-demand-site.ts';

const hello = repository('plant/hello');
const mebibyte = 1024 * 1024;

describe('fetching on demand', () => {
  let cloud: RegistryServer;
  let site: OnDemandSite;
  const opened: { close(): Promise<void> }[] = [];

  beforeEach(async () => {
    cloud = await startRegistry();
    site = await openSite(cloud);
  });

  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close();
    await site.close();
    await cloud.close();
  });

  async function open(...asked: Parameters<typeof openSite>): Promise<OnDemandSite> {
    const one = await openSite(...asked);
    opened.push(one);
    return one;
  }

  /** A blob in the cloud's `plant/hello`, and its path. */
  async function blobAbove(sizeBytes: number): Promise<{ bytes: Buffer; path: string }> {
    const bytes = randomBytes(sizeBytes);
    await pushBlob(cloud.store.local, hello, bytes);
    return { bytes, path: `/v2/plant/hello/blobs/${digestOf(bytes)}` };
  }

  const isHere = (bytes: Buffer) => site.registry.store.replica.hasBlob(hello, digestOf(bytes));

  describe('of a blob', () => {
    it('gives the client each byte when it comes, and stores the blob', async () => {
      const { bytes, path } = await blobAbove(4 * mebibyte);
      void site.gate.allow(mebibyte);
      const answer = await download(site.registry, path);
      await answer.has(mebibyte);
      expect(answer.receivedBytes).to.equal(mebibyte);
      expect(await isHere(bytes)).to.equal(false);
      void site.gate.allow(2 * mebibyte + 17);
      await answer.has(2 * mebibyte + 17);
      void site.gate.allow(Infinity);
      expect((await answer.whole).equals(bytes)).to.equal(true);
      expect(await isHere(bytes)).to.equal(true);
      await download(site.registry, path).then(({ whole }) => whole);
      expect(site.gate.asked('GET')).to.equal(1);
    });

    it('gives a first byte that is alone', async () => {
      const { bytes, path } = await blobAbove(200_000);
      void site.gate.allow(1);
      const answer = await download(site.registry, path);
      await answer.has(1);
      void site.gate.allow(Infinity);
      expect((await answer.whole).equals(bytes)).to.equal(true);
    });

    it('asks the parent once, for a hundred clients', async () => {
      const { bytes, path } = await blobAbove(2 * mebibyte);
      void site.gate.allow(mebibyte);
      const answers = await Promise.all(Array.from({ length: 100 }, () => download(site.registry, path)));
      await Promise.all(answers.map((answer) => answer.has(mebibyte)));
      void site.gate.allow(Infinity);
      for (const { whole } of answers) expect((await whole).equals(bytes)).to.equal(true);
      expect([site.gate.asked('GET'), site.gate.asked('HEAD')]).to.deep.equal([1, 1]);
    });

    it('goes on to its end when the client leaves', async () => {
      const { bytes, path } = await blobAbove(2 * mebibyte);
      void site.gate.allow(mebibyte);
      const answer = await download(site.registry, path);
      await answer.has(mebibyte);
      answer.whole.catch(() => undefined);
      answer.leave();
      void site.gate.allow(Infinity);
      await until('the blob is here', () => isHere(bytes));
    });

    for (const sizeBytes of [200, 3 * mebibyte]) {
      it(`cuts the client before the end and stores nothing, when the content of ${sizeBytes} bytes is wrong`, async () => {
        const { bytes, path } = await blobAbove(sizeBytes);
        void site.gate.fail(/blobs/, { kind: 'flip', atByte: 100 });
        const asked = download(site.registry, path).then(({ status, whole }) => whole.then((body) => [status, body]));
        const outcome = asked.then(
          ([status]) => status,
          () => 'cut',
        );
        await until('the second try', async () => {
          await site.clock.advance(1000);
          return site.gate.asked('GET') === 2;
        });
        expect(await outcome).to.be.oneOf(['cut', 503]);
        expect(await isHere(bytes)).to.equal(false);
      });
    }

    it('goes on at the byte where the parent was cut, while the client waits', async () => {
      const { bytes, path } = await blobAbove(3 * mebibyte);
      void site.gate.fail(/^GET .*blobs/, { kind: 'cut', afterBytes: mebibyte }, 1);
      const answer = await download(site.registry, path);
      await answer.has(1);
      await site.clock.sleeping();
      await site.clock.advance(1000);
      expect((await answer.whole).equals(bytes)).to.equal(true);
      expect(site.gate.asked('GET')).to.equal(2);
      // What was on its way when the connection broke is lost; no more than that comes twice.
      expect(site.gate.passedBytes).to.be.within(bytes.length, bytes.length + mebibyte / 2);
    });

    it('serves a part from what has come, and HEAD from the parent alone', async () => {
      const { bytes, path } = await blobAbove(3 * mebibyte);
      const head = await site.registry.ask('HEAD', path);
      expect([head.status, head.headers['content-length']]).to.deep.equal([200, String(bytes.length)]);
      expect(site.gate.asked('GET')).to.equal(0);
      void site.gate.allow(mebibyte);
      const answer = await download(site.registry, path);
      await answer.has(mebibyte);
      const part = await download(site.registry, path, { Range: 'bytes=1000-100999' });
      expect(part.status).to.equal(206);
      expect((await part.whole).equals(bytes.subarray(1000, 101_000))).to.equal(true);
      const end = download(site.registry, path, { Range: `bytes=${2 * mebibyte}-` });
      void site.gate.allow(Infinity);
      expect((await (await end).whole).equals(bytes.subarray(2 * mebibyte))).to.equal(true);
      await answer.whole;
    });

    it('comes straight from the parent, when there is no room for it', async () => {
      const { bytes, path } = await blobAbove(mebibyte);
      site.onDemand.apply(settingsWith({ storage: { quotaBytes: 1 } }), { active: true });
      await pushBlob(site.registry.store.local, hello, randomBytes(100));
      const answer = await download(site.registry, path);
      expect((await answer.whole).equals(bytes)).to.equal(true);
      expect(await isHere(bytes)).to.equal(false);
    });

    it('is cut, when there is no room and the content is wrong', async () => {
      const { path } = await blobAbove(mebibyte);
      const full = await open(cloud, { reserveBytes: Number.MAX_SAFE_INTEGER });
      void full.gate.fail(/blobs/, { kind: 'flip', atByte: 100 });
      const answer = await download(full.registry, path);
      expect(await answer.whole.catch(() => 'cut')).to.equal('cut');
    });

    it('comes straight from the parent, when the disk is full', async () => {
      const { bytes, path } = await blobAbove(mebibyte);
      const full = await open(cloud, { reserveBytes: Number.MAX_SAFE_INTEGER });
      expect((await (await download(full.registry, path)).whole).equals(bytes)).to.equal(true);
    });

    it('is a miss, where the parent has it in another repository only', async () => {
      const { bytes } = await blobAbove(100);
      await pushBlob(site.registry.store.local, hello, bytes);
      const answer = await site.registry.ask('GET', `/v2/plant/other/blobs/${digestOf(bytes)}`);
      expect(answer).to.include({ status: 404, code: 'BLOB_UNKNOWN' });
    });
  });

  describe('of a manifest', () => {
    it('by tag gives it at once, and brings the image with its tag', async () => {
      const image = sampleImage([randomBytes(mebibyte)]);
      await pushImage(cloud.store.local, hello, image, tag('1'));
      void site.gate.allow(0);
      const first = await site.registry.ask('GET', '/v2/plant/hello/manifests/1');
      expect([first.status, first.headers['docker-content-digest']]).to.deep.equal([200, image.manifest.digest]);
      const byDigest = await site.registry.ask('GET', `/v2/plant/hello/manifests/${image.manifest.digest}`);
      expect(byDigest.body.equals(image.manifest.bytes)).to.equal(true);
      expect(await site.registry.store.resolveTag(hello, tag('1'))).to.equal(undefined);
      void site.gate.allow(Infinity);
      await until(
        'the tag is here',
        async () => (await site.registry.store.describeTag(hello, tag('1'))) !== undefined,
      );
      expect(await site.registry.store.describeTag(hello, tag('1'))).to.include({
        digest: image.manifest.digest,
        base: image.manifest.digest,
      });
      expect(site.gate.asked('GET /v2/plant/hello/manifests/')).to.equal(1);
    });

    it('gives an index alone, and a child when it is asked for', async () => {
      const children = [sampleImage(['amd64']), sampleImage(['arm64'])] as const;
      const index = sampleIndex([
        [{ os: 'linux', architecture: 'amd64' }, children[0]],
        [{ os: 'linux', architecture: 'arm64' }, children[1]],
      ]);
      await pushImage(cloud.store.local, hello, index, tag('1'));
      await site.registry.ask('GET', '/v2/plant/hello/manifests/1');
      await until('the tag is here', async () => (await site.registry.store.resolveTag(hello, tag('1'))) !== undefined);
      const { store } = site.registry;
      expect(await store.findManifest(hello, children[0].manifest.digest)).to.equal(undefined);
      const child = await site.registry.ask('GET', `/v2/plant/hello/manifests/${children[0].manifest.digest}`);
      expect(child.status).to.equal(200);
      await until(
        'the child is here',
        async () => (await store.findManifest(hello, children[0].manifest.digest)) !== undefined,
      );
      expect(await store.findManifest(hello, children[1].manifest.digest)).to.equal(undefined);
    });

    it('under a tag that no rule names keeps the image and not the tag', async () => {
      const image = sampleImage(['old']);
      await pushImage(cloud.store.local, hello, image, tag('0.9'));
      site.onDemand.apply(settingsWith({ repositories: [{ name: 'plant/*', tags: ['1.*'] }] }), { active: true });
      expect((await site.registry.ask('GET', '/v2/plant/hello/manifests/0.9')).status).to.equal(200);
      const { store } = site.registry;
      await until(
        'the image is here',
        async () => (await store.findManifest(hello, image.manifest.digest)) !== undefined,
      );
      expect(await store.resolveTag(hello, tag('0.9'))).to.equal(undefined);
    });

    it('does not bring back what was removed here, and is not yet at the parent', async () => {
      const image = sampleImage(['gone']);
      await pushImage(cloud.store.local, hello, image, tag('1'));
      const ours = await open(cloud, { carries: true });
      const { store } = ours.registry;
      await pushImage(store.replica, hello, image, tag('1'));
      await store.local.deleteTag(hello, tag('1'));
      expect(await ours.registry.ask('GET', '/v2/plant/hello/manifests/1')).to.include({ status: 404 });
      await store.local.deleteManifest(hello, image.manifest.digest);
      const byDigest = await ours.registry.ask('GET', `/v2/plant/hello/manifests/${image.manifest.digest}`);
      expect(byDigest).to.include({ status: 404, code: 'MANIFEST_UNKNOWN' });
    });

    it('asks the parent once, for a hundred clients, and remembers a miss for a few seconds only', async () => {
      const path = '/v2/plant/hello/manifests/none';
      const answers = await Promise.all(Array.from({ length: 100 }, () => site.registry.ask('GET', path)));
      expect(new Set(answers.map(({ code }) => code))).to.deep.equal(new Set(['MANIFEST_UNKNOWN']));
      await site.registry.ask('GET', path);
      expect(site.gate.asked('GET')).to.equal(1);
      const image = sampleImage(['late']);
      await pushImage(cloud.store.local, hello, image, tag('none'));
      await site.clock.advance(5000);
      expect((await site.registry.ask('GET', path)).status).to.equal(200);
    });

    it('lists its referrers at once, and brings them too', async () => {
      const image = sampleImage(['signed']);
      const signature = sampleImage(['signature'], { subject: image.manifest, artifactType: 'application/x.sig' });
      await pushImage(cloud.store.local, hello, image, tag('1'));
      await pushImage(cloud.store.local, hello, signature);
      const answer = await site.registry.ask('GET', `/v2/plant/hello/referrers/${image.manifest.digest}`);
      const { manifests } = JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] };
      expect(manifests.map(({ digest }) => digest)).to.deep.equal([signature.manifest.digest]);
      await site.registry.ask('GET', '/v2/plant/hello/manifests/1');
      const { store } = site.registry;
      await until('the tag is here', async () => (await store.resolveTag(hello, tag('1'))) !== undefined);
      expect(await store.findManifest(hello, signature.manifest.digest)).to.not.equal(undefined);
      const before = site.gate.lines.length;
      await site.registry.ask('GET', `/v2/plant/hello/referrers/${image.manifest.digest}`);
      expect(site.gate.lines).to.have.length(before);
    });
  });

  describe('while the parent is away', () => {
    it('answers 503 and when to come again, asks no more for a few seconds, and serves what is here', async () => {
      const image = sampleImage(['here']);
      await pushImage(site.registry.store.replica, hello, image, tag('here'));
      await site.gate.close();
      for (const what of ['manifests/1', `blobs/${digestOf(Buffer.from('x'))}`, 'manifests/2']) {
        const answer = await site.registry.ask('GET', `/v2/plant/hello/${what}`);
        expect(answer).to.include({ status: 503, code: 'UNAVAILABLE' });
        expect(answer.headers['retry-after']).to.equal('5');
      }
      expect((await site.registry.ask('GET', '/v2/plant/hello/manifests/here')).status).to.equal(200);
    });

    it('answers 503 at once through every layer, as soon as the nearest to the gap knows', async () => {
      const lower = await open(site.registry, { attempts: 4 });
      site.gate.down();
      const digest = digestOf(Buffer.from('x'));
      for (const what of ['manifests/1', `blobs/${digest}`, `referrers/${digest}`]) {
        const answer = await lower.registry.ask('GET', `/v2/plant/hello/${what}`);
        expect(answer, what).to.include({ status: 503, code: 'UNAVAILABLE' });
        expect(answer.headers['retry-after']).to.equal('5');
      }
    });

    for (const [what, fault] of [
      ['is cut', { kind: 'cut', afterBytes: 0 }],
      ['answers 503', { kind: 'answer', status: 503 }],
    ] as const) {
      it(`answers 503 when it ${what} between the size of a blob and its first byte, a part of it as well`, async () => {
        const { path } = await blobAbove(2 * mebibyte);
        for (const headers of [{} as Record<string, string>, { range: 'bytes=5-1000000' }]) {
          const struck = site.gate.fail(/^GET .*\/blobs\/sha/, fault);
          const asking = site.registry.ask('GET', path, { headers });
          await struck;
          const answer = await patiently(site.clock, asking);
          site.gate.heal();
          expect(answer).to.include({ status: 503, code: 'UNAVAILABLE' });
          expect(answer.headers).to.include({ 'retry-after': '5' }).and.not.have.property('content-range');
        }
      });
    }

    it('answers 503 after 20 s, when it says nothing', async () => {
      void site.gate.fail(/./, { kind: 'silent', afterBytes: 0 });
      const answer = site.registry.ask('GET', '/v2/plant/hello/manifests/1');
      await site.clock.sleeping();
      await site.clock.advance(20_000);
      expect(await answer).to.include({ status: 503, code: 'UNAVAILABLE' });
    });
  });

  describe('is for those only who', () => {
    const path = '/v2/plant/hello/manifests/1';

    it('may read the repository: others cause no request', async () => {
      await pushImage(cloud.store.local, hello, sampleImage(['secret']), tag('1'));
      expect((await site.registry.ask('GET', path, { as: undefined })).status).to.equal(401);
      expect((await site.registry.ask('GET', '/v2/other/hello/manifests/1', { as: reader })).status).to.equal(403);
      expect(site.gate.lines).to.deep.equal([]);
    });

    it('ask in a repository that a rule names', async () => {
      expect(await site.registry.ask('GET', '/v2/elsewhere/hello/manifests/1')).to.include({ status: 404 });
      expect(site.gate.lines).to.deep.equal([]);
    });

    it('are no pushers who look what they need not send', async () => {
      const { path: blob } = await blobAbove(100);
      site.registry.state = { ...site.registry.state, mode: 'ReadWrite' };
      expect((await site.registry.ask('HEAD', blob)).status).to.equal(404);
      expect((await site.registry.ask('HEAD', blob, { as: reader })).status).to.equal(200);
    });

    it('ask while it is switched on and the registry is active', async () => {
      for (const [settings, active] of [
        [settingsWith({ onDemand: false }), true],
        [settingsWith(), false],
      ] as const) {
        site.onDemand.apply(settings, { active });
        expect(await site.registry.ask('GET', path)).to.include({ status: 404 });
      }
      expect(site.gate.lines).to.deep.equal([]);
    });
  });

  it('goes through every layer, byte by byte', async () => {
    const lower = await open(site.registry);
    const { bytes, path } = await blobAbove(3 * mebibyte);
    void site.gate.allow(mebibyte);
    const answer = await download(lower.registry, path);
    await answer.has(mebibyte);
    expect(await isHere(bytes)).to.equal(false);
    void site.gate.allow(Infinity);
    expect((await answer.whole).equals(bytes)).to.equal(true);
    const index = sampleIndex([[{ os: 'linux', architecture: 'amd64' }, sampleImage(['deep'])]]);
    await pushImage(cloud.store.local, hello, index, tag('1'));
    const found = await lower.registry.ask('GET', '/v2/plant/hello/manifests/1');
    expect(found.headers['docker-content-digest']).to.equal(index.manifest.digest);
    for (const { store } of [lower.registry, site.registry]) {
      await until('the tag is here', async () => (await store.resolveTag(hello, tag('1'))) === index.manifest.digest);
    }
  });

  it('goes before what is scheduled on a limited link', async () => {
    const settings = settingsWith({ transfer: { bytesPerSecond: 100_000, concurrency: 1 } });
    site.link.transfers.limit(settings.transfer);
    const [scheduled, asked] = [await blobAbove(300_000), await blobAbove(200_000)];
    const ended: string[] = [];
    const pass = site.link.transfers
      .carry({
        ...{ source: site.link.parent, target: site.registry.store.replica, repository: hello },
        blob: descriptorOf(scheduled.bytes, 'application/octet-stream'),
        signal: new AbortController().signal,
      })
      .then(() => ended.push('scheduled'));
    const answer = download(site.registry, asked.path).then(async ({ whole }) => {
      await whole;
      ended.push('asked');
    });
    await until('both have ended', async () => {
      await site.clock.advance(500);
      return ended.length === 2;
    });
    await Promise.all([pass, answer]);
    expect(ended).to.deep.equal(['asked', 'scheduled']);
  });
});
