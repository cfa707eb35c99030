import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { ask } from '../helpers/ask.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { sampleImage, sampleIndex } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { pullImage, type Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { cloudAccount, layerSettings, operator, passwordsOf } from './layer-settings.ts';
import { arrives, knows, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { openCloud } from './open-cloud.ts';

const lowerSync: Account = { name: 'lowersync', password: 'lower-sync-password' };
/** Its one window a year is not now, so all that comes down is what clients ask for. */
const seldom = { syncProperties: { schedule: '0 0 29 2 *', syncWindow: 'PT1H' } };

/** Three module processes: the cloud, and two layers that fetch on demand only. */
describe('two layers that fetch on demand', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;
  let cloud: Cloud;
  let upper: Layer;
  let lower: Layer;

  before(async () => {
    stage = await openStage();
    const { directory } = stage;
    cloud = await openCloud(stage, 'upper');
    const child = { name: 'lowerlayer', mode: 'ReadOnly', repositories: ['plant/*'] };
    const desired = { mode: 'ReadOnly', parent: seldom, onDemand: true, transfer: { bytesPerSecond: 50_000_000 } };
    upper = await stage.open(
      startLayer({
        name: 'upperlayer',
        directory: join(directory, 'upper'),
        parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
        desired: await layerSettings({
          ...desired,
          children: [{ ...child, syncToken: { name: lowerSync.name, passwords: await passwordsOf(lowerSync) } }],
        }),
      }),
    );
    lower = await stage.open(
      startLayer({
        name: 'lowerlayer',
        directory: join(directory, 'lower'),
        parent: { endpoint: upper.endpoint, syncToken: lowerSync },
        desired: await layerSettings(desired),
      }),
    );
    await knows(upper.url, operator);
    await knows(lower.url, operator);
  });

  after(() => stage.close());

  const hello = sampleIndex([
    [{ os: 'linux', architecture: 'amd64' }, sampleImage([randomBytes(3_000_000), 'amd64'])],
    [{ os: 'linux', architecture: 'arm64' }, sampleImage([randomBytes(100_000), 'arm64'])],
  ]);

  it('give a client at the bottom what only the cloud has, and keep it', async () => {
    await push(cloud.endpoint, cloudAccount, 'plant/hello', hello, '1');
    const above = await pullImage(`http://${cloud.endpoint}`, cloudAccount, 'plant/hello', '1');
    const below = await pullImage(lower.url, operator, 'plant/hello', '1');
    expect(below).to.deep.equal(above);
    for (const { url } of [upper, lower]) {
      await until(`the tag is listed at ${url}`, async () => {
        const { status, body } = await ask(`${url}/v2/plant/hello/tags/list`, operator);
        return status === 200 && body.includes('"1"');
      });
    }
    const metrics = await (await fetch(`${lower.metricsUrl}/metrics`)).text();
    expect(metrics).to.match(/on_demand_requests_total\{result="Found"[^}]*\} [1-9]/);
    expect(metrics).to.match(/transfer_rate_limit_bytes_per_second(\{[^}]*\})? 50000000/);
  });

  it('serve it when the cloud is away, and say of the rest that it cannot be asked for', async () => {
    await cloud.close();
    await arrives(lower.url, operator, ['plant/hello', '1'], hello);
    await pullImage(lower.url, operator, 'plant/hello', '1');
    const missing = await ask(`${lower.url}/v2/plant/hello/manifests/2`, operator);
    expect(missing).to.include({ status: 503, code: 'UNAVAILABLE' });
  });
});
