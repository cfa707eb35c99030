import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { pushImage, sampleImage, sampleIndex, type SampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { reader } from '../http/registry-server.ts';
import { openChain, type ChainLayer, type LayerChain } from './layer-chain.ts';

const hello = repository('plant/hello');
const [v1, v2, v3] = [tag('v1'), tag('v2'), tag('v3')];
const mebibyte = 1024 * 1024;
const hourMs = 3_600_000;

/** Real registries over HTTP; the gate of the top layer decides how much of an image has come from the cloud. */
describe('an image on its way through layers', () => {
  let chain: LayerChain;
  let image: SampleImage;
  let layerPath: string;

  afterEach(() => chain.close());

  async function open(depth: number, settings: Readonly<Record<string, unknown>> = {}): Promise<readonly ChainLayer[]> {
    chain = await openChain(depth);
    await pushImage(chain.cloud.store.local, hello, sampleImage(['small']), v1);
    for (const [index, layer] of chain.layers.entries()) {
      layer.apply(index === depth - 1 ? settings : {});
      await layer.inSync();
    }
    return chain.layers;
  }

  /** Pushes an image with one large layer to the cloud, of which the top layer gets no more than so much. */
  async function push(allowedBytes: number, name = v2): Promise<void> {
    const { gate } = chain.layers[0]!;
    void gate.allow(gate.passedBytes + allowedBytes);
    image = sampleImage([randomBytes(3 * mebibyte)]);
    layerPath = `/v2/plant/hello/blobs/${digestOf(image.blobs[1]!)}`;
    await pushImage(chain.cloud.store.local, hello, image, name);
  }

  const letAllThrough = (): void => chain.layers.forEach(({ gate }) => void gate.allow(Infinity));
  const sizeBytes = (): number => image.blobs.reduce((sum, { length }) => sum + length, 0);
  /** Of the layer: the gates do not count the config, which is small and comes otherwise than by `GET`. */
  const layerBytes = 3 * mebibyte;
  const has = ({ registry }: ChainLayer, name = v2) =>
    registry.store.resolveTag(hello, name).then((digest) => digest === image.manifest.digest);
  const hasLayer = ({ registry }: ChainLayer) => registry.store.replica.hasBlob(hello, digestOf(image.blobs[1]!));

  it('reaches the bottom of three while it still comes to the top, each byte once on each link', async () => {
    const layers = await open(3);
    const [top, middle, bottom] = layers as [ChainLayer, ChainLayer, ChainLayer];
    const before = layers.map(({ gate }) => gate.passedBytes);
    await push(2 * mebibyte);
    await chain.comes(() => bottom.gate.passedBytes >= before[2]! + 2 * mebibyte - 1000);
    for (const layer of layers) {
      expect(await hasLayer(layer)).to.equal(false);
      expect(await has(layer)).to.equal(false);
    }
    letAllThrough();
    await chain.comes(() => has(bottom));
    for (const layer of [top, middle]) expect(await has(layer)).to.equal(true);
    expect(layers.map(({ gate }, index) => gate.passedBytes - before[index]!)).to.deep.equal(
      layers.map(() => layerBytes),
    );
  });

  it('is counted while it comes, and once', async () => {
    const [, bottom] = (await open(2)) as [ChainLayer, ChainLayer];
    const before = bottom.engine.status();
    const begun = bottom.registry.clock.now();
    const passed = bottom.gate.passedBytes;
    await push(2 * mebibyte);
    await chain.comes(() => bottom.gate.passedBytes - passed >= 2 * mebibyte - 1000);
    await chain.comes(() => bottom.engine.status().bytesDone >= 2 * mebibyte - 100_000);
    const status = bottom.engine.status();
    expect(status).to.include({ connectionState: 'Syncing', blobsDone: 0, blobsTotal: 1, bytesTotal: 3 * mebibyte });
    expect(status.bytesDone).to.be.at.most(2 * mebibyte);
    expect(status.moved!.since).to.be.within(begun, bottom.registry.clock.now());
    expect(status.moved!.bytes).to.equal(status.bytesDone);
    expect(status.lastSyncStartTime).to.deep.equal(before.lastSyncStartTime);
    letAllThrough();
    await chain.comes(() => has(bottom));
    await bottom.inSync();
    const all = { blobsDone: 2, blobsTotal: 2, bytesDone: sizeBytes(), bytesTotal: sizeBytes() };
    expect(bottom.engine.status()).to.include(all);
    // The next pass tells of what it does itself.
    await bottom.registry.clock.advance(60_000);
    await chain.comes(() => bottom.engine.status().lastSyncStartTime! > status.lastSyncStartTime!);
    await bottom.inSync();
    await bottom.registry.clock.advance(60_000);
    await chain.comes(() => bottom.engine.status().bytesTotal === 0);
  });

  it('is given up, and the layer Offline, when its parent falls silent', async () => {
    const [, bottom] = (await open(2)) as [ChainLayer, ChainLayer];
    const passed = bottom.gate.passedBytes;
    await push(2 * mebibyte);
    await chain.comes(() => bottom.gate.passedBytes - passed >= 2 * mebibyte - 1000);
    await chain.comes(() => bottom.engine.status().bytesDone === bottom.gate.passedBytes - passed);
    void bottom.gate.fail(/./, { kind: 'silent', afterBytes: 0 });
    expect(bottom.engine.status().connectionState).to.equal('Syncing');
    await bottom.registry.clock.advance(30_000);
    await chain.comes(() => bottom.engine.status().connectionState === 'Offline');
    expect(bottom.engine.status().details.map(({ code }) => code)).to.deep.equal(['PARENT_UNREACHABLE']);
    bottom.gate.heal();
    letAllThrough();
    await chain.comes(() => has(bottom));
    expect(bottom.gate.passedBytes - passed).to.be.within(layerBytes, layerBytes + 1000);
  });

  it('is nothing that clients can see, or pull, before it is there', async () => {
    const [top, bottom] = (await open(2)) as [ChainLayer, ChainLayer];
    await push(mebibyte);
    await chain.comes(() => bottom.gate.asked(`GET ${layerPath}`) > 0);
    for (const { registry } of [top, bottom]) {
      expect(await registry.ask('GET', layerPath)).to.include({ status: 404, code: 'BLOB_UNKNOWN' });
      expect(await registry.ask('HEAD', layerPath)).to.include({ status: 404 });
      expect(await registry.ask('GET', `/v2/plant/hello/manifests/v2`)).to.include({ status: 404 });
    }
    const ahead = { headers: { 'Connected-Registry': 'arriving' } };
    expect(await top.registry.ask('GET', layerPath, { ...ahead, as: reader })).to.include({ status: 401 });
    expect(await top.registry.ask('GET', layerPath.replace('plant/', 'other/'), ahead)).to.include({ status: 404 });
  });

  it('is verified by each layer itself', async () => {
    const [, bottom] = (await open(2)) as [ChainLayer, ChainLayer];
    const spoiled = bottom.gate.fail(/^GET .*\/blobs\//, { kind: 'flip', atByte: mebibyte / 2 }, 1);
    await push(mebibyte);
    await chain.comes(() => bottom.gate.asked(`GET ${layerPath}`) > 0);
    await spoiled;
    letAllThrough();
    await chain.comes(() => has(bottom));
    expect(await hasLayer(bottom)).to.equal(true);
    expect(bottom.gate.asked(`GET ${layerPath}`)).to.equal(2);
  });

  it('goes on where it was when the parent gives up, and comes again', async () => {
    const [top, bottom] = (await open(2)) as [ChainLayer, ChainLayer];
    const before = bottom.gate.passedBytes;
    await push(2 * mebibyte);
    await chain.comes(() => bottom.gate.passedBytes - before >= 2 * mebibyte - 1000);
    top.apply({}, { active: false });
    await chain.comes(() => bottom.gate.asked(`GET ${layerPath}`) > 1);
    expect(await has(bottom)).to.equal(false);
    letAllThrough();
    top.apply();
    await chain.comes(() => has(bottom));
    // The gate counts the answer that there is no such blob, too.
    expect(bottom.gate.passedBytes - before).to.be.within(layerBytes, layerBytes + 1000);
    await bottom.inSync();
    const all = { blobsDone: 2, blobsTotal: 2, bytesDone: sizeBytes(), bytesTotal: sizeBytes() };
    expect(bottom.engine.status()).to.include(all);
  });

  it('stops at the end of the child’s window, and goes on there in the next', async () => {
    const everyOtherHour = { syncProperties: { schedule: '0 9-21/2 * * *', syncWindow: 'PT1H' } };
    const [top, bottom] = (await open(2, { parent: everyOtherHour })) as [ChainLayer, ChainLayer];
    const before = bottom.gate.passedBytes;
    await push(2 * mebibyte);
    await chain.comes(() => bottom.gate.passedBytes - before >= 2 * mebibyte - 1000);
    const brokenOff = top.registry.sampled(({ endpoint }) => endpoint === 'gateway-messages');
    await bottom.registry.clock.advance(hourMs);
    await brokenOff;
    const [asked, passed] = [bottom.gate.lines.length, bottom.gate.passedBytes];
    letAllThrough();
    await chain.comes(() => has(top));
    await bottom.registry.clock.advance(hourMs / 2);
    expect([bottom.gate.lines.length, bottom.gate.passedBytes]).to.deep.equal([asked, passed]);
    await bottom.registry.clock.advance(hourMs / 2);
    await chain.comes(() => has(bottom));
    expect(bottom.gate.passedBytes - before).to.equal(layerBytes);
  });

  describe('that is still being pushed to the top', () => {
    const [first, second] = [randomBytes(2 * mebibyte), randomBytes(2 * mebibyte)];
    const bigImage = sampleImage([first, second]);
    const ofLayer = (bytes: Buffer, name = 'plant/hello') => `/v2/${name}/blobs/${digestOf(bytes)}`;
    const comesTo = (layer: ChainLayer, bytes: Buffer) =>
      chain.comes(() => layer.registry.store.replica.hasBlob(hello, digestOf(bytes)));

    async function post(query: string, body?: Buffer, name = 'plant/hello'): Promise<void> {
      const answer = await chain.cloud.ask('POST', `/v2/${name}/blobs/uploads/?${query}`, body ? { body } : {});
      expect(answer.status).to.equal(201);
    }

    it('comes down blob by blob, each once on each link', async () => {
      const layers = await open(2);
      const [middle, bottom] = layers as [ChainLayer, ChainLayer];
      const before = layers.map(({ gate }) => gate.passedBytes);
      await post(`digest=${digestOf(first)}`, first);
      await comesTo(bottom, first);
      const session = await chain.cloud.ask('POST', '/v2/plant/hello/blobs/uploads/');
      const location = String(session.headers.location);
      await chain.cloud.ask('PATCH', location, { body: second });
      await chain.cloud.ask('PUT', `${location}?digest=${digestOf(second)}`);
      await comesTo(bottom, second);
      for (const { registry } of [middle, bottom]) {
        expect(await registry.store.resolveTag(hello, v2)).to.equal(undefined);
      }
      await pushImage(chain.cloud.store.local, hello, bigImage, v2);
      await chain.comes(async () => (await bottom.registry.store.resolveTag(hello, v2)) === bigImage.manifest.digest);
      const ofLayers = first.length + second.length;
      expect(layers.map(({ gate }, index) => gate.passedBytes - before[index]!)).to.deep.equal([ofLayers, ofLayers]);
    });

    it('comes down where a blob was only mounted, and a child may not have it from there', async () => {
      const [, bottom] = (await open(2)) as [ChainLayer, ChainLayer];
      await post(`digest=${digestOf(first)}`, first, 'office/hello');
      await post(`mount=${digestOf(first)}&from=office/hello`);
      await comesTo(bottom, first);
      expect(bottom.gate.asked(`GET ${ofLayer(first, 'office/hello')}`)).to.equal(0);
    });

    it('waits where only some tags or platforms are wanted, and where blobs are small', async () => {
      const rule = { name: 'plant/hello', platforms: ['linux/amd64'] };
      const [middle, bottom] = (await open(2, { repositories: [rule] })) as [ChainLayer, ChainLayer];
      const small = randomBytes(mebibyte - 1);
      await post(`digest=${digestOf(small)}`, small);
      await post(`digest=${digestOf(first)}`, first);
      await comesTo(middle, first);
      const heardAll = `arriving=${middle.registry.gateway.arrivals.head}`;
      await chain.comes(() => bottom.gate.lines.some((line) => line.includes(heardAll)));
      expect(await bottom.registry.store.replica.hasBlob(hello, digestOf(first))).to.equal(false);
      expect(bottom.gate.asked(`GET ${ofLayer(first)}`)).to.equal(0);
      expect(middle.gate.asked(`GET ${ofLayer(small)}`)).to.equal(0);
    });
  });

  it('is fetched as far as the rules of the child want it', async () => {
    const rule = { name: 'plant/hello', tags: ['v1', 'v2'], platforms: ['linux/amd64'] };
    const [top, bottom] = (await open(2, { repositories: [rule] })) as [ChainLayer, ChainLayer];
    void top.gate.allow(top.gate.passedBytes);
    const [amd, arm, other] = [1, 2, 3].map(() => sampleImage([randomBytes(2 * mebibyte)])) as [
      SampleImage,
      SampleImage,
      SampleImage,
    ];
    const index = sampleIndex([
      [{ os: 'linux', architecture: 'arm64' }, arm],
      [{ os: 'linux', architecture: 'amd64' }, amd],
    ]);
    top.apply({}, { active: false });
    await pushImage(chain.cloud.store.local, hello, other, v3);
    await pushImage(chain.cloud.store.local, hello, index, v2);
    top.apply();
    const told = (): number => top.registry.gateway.arrivals.after(0).length;
    await chain.comes(() => told() === 2);
    const heardAll = `arriving=${top.registry.gateway.arrivals.head}`;
    await chain.comes(() => bottom.gate.lines.some((line) => line.includes(heardAll)));
    letAllThrough();
    await chain.comes(async () => (await bottom.registry.store.resolveTag(hello, v2)) === index.manifest.digest);
    const asked = (one: SampleImage) => bottom.gate.asked(`GET /v2/plant/hello/blobs/${digestOf(one.blobs[1]!)}`);
    expect([asked(amd), asked(arm), asked(other)]).to.deep.equal([1, 0, 0]);
  });
});
