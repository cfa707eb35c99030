import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { ask } from '../helpers/ask.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { pullImage } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { cloudAccount, layerSettings, operator } from './layer-settings.ts';
import { knows, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { openCloud } from './open-cloud.ts';

const mebibyte = 1024 * 1024;

/** One module process below a cloud, ended by SIGKILL in the middle of things. */
describe('a module that is killed', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;
  let cloud: Cloud;
  let layer: Layer;

  before(async () => {
    stage = await openStage();
    cloud = await openCloud(stage, 'mortal');
    layer = await stage.open(
      startLayer({
        name: 'mortal',
        directory: join(stage.directory, 'layer'),
        parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
        desired: await layerSettings({ transfer: { bytesPerSecond: 8 * mebibyte } }),
      }),
    );
    await knows(layer.url, operator);
  });

  after(() => stage.close());

  it('in the middle of a push keeps what it acknowledged, tells the true offset and takes the rest', async () => {
    const acknowledged = sampleImage([randomBytes(mebibyte), 'small']);
    await push(layer.endpoint, operator, 'plant/acknowledged', acknowledged, '1');
    const blob = randomBytes(4 * mebibyte);
    const begun = await ask(`${layer.url}/v2/plant/big/blobs/uploads/`, operator, { method: 'POST' });
    const upload = `${layer.url}${begun.headers.get('location') ?? ''}`;
    const first = await ask(upload, operator, { method: 'PATCH', body: blob.subarray(0, mebibyte) });
    expect(first.status).to.equal(202);

    const { pathname, port } = new URL(upload);
    const cut = request({
      port,
      path: pathname,
      method: 'PATCH',
      auth: `${operator.name}:${operator.password}`,
      headers: { 'Content-Length': 3 * mebibyte },
    });
    const broken = new Promise((resolve) => cut.once('error', resolve));
    cut.write(blob.subarray(mebibyte, 3 * mebibyte));
    const received = join(stage.directory, 'layer/data/uploads', begun.headers.get('docker-upload-uuid') ?? '');
    await until('part of the second chunk is there', async () => (await stat(received)).size > mebibyte);
    await layer.kill();
    await broken;
    await layer.start();

    const where = await ask(upload, operator);
    expect(where.status).to.equal(204);
    const offset = Number(/^0-(\d+)$/.exec(where.headers.get('range') ?? '')?.[1]) + 1;
    expect(offset).to.be.within(mebibyte, 3 * mebibyte);
    const rest = await ask(upload, operator, {
      method: 'PATCH',
      headers: { 'Content-Range': `${offset}-${blob.length - 1}` },
      body: blob.subarray(offset),
    });
    expect(rest.status).to.equal(202);
    const digest = digestOf(blob);
    expect(await ask(`${upload}?digest=${digest}`, operator, { method: 'PUT' })).to.include({ status: 201 });
    expect((await ask(`${layer.url}/v2/plant/big/blobs/${digest}`, operator)).body.equals(blob)).to.equal(true);
    await pullImage(layer.url, operator, 'plant/acknowledged', '1');
  });

  it('in the middle of a sync goes on by Range, and shows nothing half-written meanwhile', async () => {
    const sizeBytes = 48 * mebibyte;
    const large = randomBytes(sizeBytes);
    const image = sampleImage([large]);
    const cloudMetrics = cloud.metricsUrl ?? '';
    const servedBefore = await servedBytes(cloudMetrics);
    await push(cloud.endpoint, cloudAccount, 'plant/large', image, '1');

    const expectNothing = async (): Promise<void> => {
      const tag = await ask(`${layer.url}/v2/plant/large/manifests/1`, operator);
      expect(tag).to.include({ status: 404, code: 'MANIFEST_UNKNOWN' });
      const blob = await ask(`${layer.url}/v2/plant/large/blobs/${digestOf(large)}`, operator, { method: 'HEAD' });
      expect(blob).to.include({ status: 404 });
    };
    await until('half of the large blob has come', async () => {
      return (await metric(layer.metricsUrl, 'connected_registry_sync_bytes_done')) > sizeBytes / 2;
    });
    await expectNothing();
    await layer.kill();
    await layer.start();
    await expectNothing();

    layer.site.hub.replaceDesired('registry', await layerSettings());
    await until('the large image is whole', async () => {
      return (await ask(`${layer.url}/v2/plant/large/manifests/1`, operator)).status === 200;
    });
    await pullImage(layer.url, operator, 'plant/large', '1');
    const served = (await servedBytes(cloudMetrics)) - servedBefore;
    // What lay in socket buffers when the process was killed is served twice; from the start would be half more.
    expect(served).to.be.within(sizeBytes, 1.25 * sizeBytes);
  });
});

/** Body bytes of blobs that a registry has sent so far. */
function servedBytes(url: string): Promise<number> {
  return metric(url, 'connected_registry_http_sent_bytes_total', 'endpoint="end-2"');
}

/** The sample with that label; 0 when there is none yet. */
async function metric(url: string, name: string, label = ''): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((row) => /^[^#{ ]*/.exec(row)?.[0] === name && row.includes(label));
  return Number(line?.split(' ').at(-1) ?? 0);
}
