import { expect } from 'chai';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { blobPath } from '../../modules/registry/src/store/layout.ts';
import { ask } from '../helpers/ask.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { pullImage } from '../helpers/pull-image.ts';
import { cloudAccount, layerSettings, operator } from './layer-settings.ts';
import { arrives, knows, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { tells } from './tells.ts';
import { openCloud } from './open-cloud.ts';

/** One module process on a disk that loses something. The tests follow each other. */
describe('a module whose disk lost something', function () {
  this.timeout(45_000);

  let stage: Stage;
  let layer: Layer;
  let instanceId: string;
  const large = Buffer.alloc(200_000, 'large');
  const image = sampleImage([large]);
  const data = (): string => join(stage.directory, 'layer', 'data');

  before(async () => {
    stage = await openStage();
    const cloud = await openCloud(stage, 'damaged');
    await push(cloud.endpoint, cloudAccount, 'plant/hello', image, '1');
    layer = await stage.open(
      startLayer({
        name: 'damaged',
        directory: join(stage.directory, 'layer'),
        parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
        desired: await layerSettings(),
      }),
    );
    await knows(layer.url, operator);
    await arrives(layer.url, operator, ['plant/hello', '1'], image);
    await tells(layer, 'in sync', ({ inSync }) => inSync);
  });
  after(() => stage.close());

  it('answers that a lost blob is unknown, and has it again from the parent', async () => {
    await rm(blobPath(data(), digestOf(large)));
    const url = `${layer.url}/v2/plant/hello/blobs/${digestOf(large)}`;
    const answer = await ask(url, operator);
    expect(answer).to.include({ status: 404, code: 'BLOB_UNKNOWN' });
    await tells(layer, 'sync after the repair', (told) => told.registrySyncResult.syncTrigger === 'RecoveryService');
    await tells(layer, 'no damage', ({ inSync, statusDetails }) => inSync && statusDetails.length === 0);
    await pullImage(layer.url, operator, 'plant/hello', '1');
  });

  it('answers verify, and keeps the result in the reported properties and the metrics', async () => {
    const { status, payload } = await layer.site.hub.invokeMethod('registry', 'verify', { repair: true });
    expect(status).to.equal(200);
    expect(payload).to.deep.include({ blobs: 2, manifests: 1, tags: 1, findings: 0, repaired: 0, first: [] });
    const report = await layer.reported('the verification', (told) => told['lastVerification'] !== undefined);
    expect(report['lastVerification']).to.include({ blobs: 2, findings: 0, repaired: 0 });
    instanceId = (report['activation'] as { instanceId: string }).instanceId;
    const metrics = await (await fetch(`${layer.metricsUrl}/metrics`)).text();
    expect(metrics).to.match(/verification_findings(?:\{.*\})? 0\n/);
  });

  it('is the same instance with the same content, after its index was lost', async () => {
    await layer.kill();
    await rm(join(data(), 'index'), { recursive: true });
    await layer.start();
    await arrives(layer.url, operator, ['plant/hello', '1'], image);
    await pullImage(layer.url, operator, 'plant/hello', '1');
    const report = await layer.reported('Active again', (told) => told['activation'] !== undefined);
    expect(report['activation']).to.include({ status: 'Active', instanceId });
  });
});
