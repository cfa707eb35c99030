import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Cloud } from '../helpers/cloud.ts';
import { startFaultProxy, type FaultProxy } from '../helpers/fault-proxy.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { digestOfTag, pullImage, type Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { cloudAccount, layerSettings, operator, passwordsOf } from './layer-settings.ts';
import { openCloud } from './open-cloud.ts';
import { arrives, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { tells } from './tells.ts';

const lowerSync: Account = { name: 'lowersync', password: 'lower-sync-password' };
const mebibyte = 1024 * 1024;

/** Three module processes, and a gate in each of the two links. */
describe('an image on its way through two layers', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;
  let cloud: Cloud;
  let [upper, lower]: Layer[] = [];
  let [toCloud, toUpper]: FaultProxy[] = [];

  before(async () => {
    stage = await openStage();
    cloud = await openCloud(stage, 'upperlayer');
    toCloud = await stage.open(startFaultProxy(cloud.endpoint));
    const child = { name: 'lowerlayer', mode: 'ReadOnly', repositories: ['plant/*'] };
    const children = [{ ...child, syncToken: { name: lowerSync.name, passwords: await passwordsOf(lowerSync) } }];
    upper = await stage.open(
      startLayer({
        name: 'upperlayer',
        directory: join(stage.directory, 'upper'),
        parent: { endpoint: toCloud.host, syncToken: cloudAccount },
        desired: await layerSettings({ mode: 'ReadOnly', children }),
      }),
    );
    toUpper = await stage.open(startFaultProxy(upper.endpoint));
    lower = await stage.open(
      startLayer({
        name: 'lowerlayer',
        directory: join(stage.directory, 'lower'),
        parent: { endpoint: toUpper.host, syncToken: lowerSync },
        desired: await layerSettings({ mode: 'ReadOnly' }),
      }),
    );
    for (const layer of [upper, lower]) await tells(layer, 'that it is in sync', ({ inSync }) => inSync);
  });

  after(() => stage.close());

  it('comes to the lower one while it still comes to the upper one, and once', async () => {
    const image = sampleImage([randomBytes(8 * mebibyte)]);
    void toCloud!.allow(5 * mebibyte);
    await push(cloud.endpoint, cloudAccount, 'plant/hello', image, '1');
    await until('4 MiB are at the lower layer', async () => toUpper!.passedBytes >= 4 * mebibyte);
    for (const { url } of [upper!, lower!]) {
      expect(await digestOfTag(url, operator, 'plant/hello', '1')).to.equal(undefined);
    }
    expect(toCloud!.passedBytes).to.equal(5 * mebibyte);
    void toCloud!.allow(Infinity);
    await arrives(lower!.url, operator, ['plant/hello', '1'], image);
    // The config is small, and comes otherwise than by `GET`.
    expect(toUpper!.passedBytes).to.equal(8 * mebibyte);
    await pullImage(lower!.url, operator, 'plant/hello', '1');
  });
});
