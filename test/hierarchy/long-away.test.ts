import { expect } from 'chai';
import { join } from 'node:path';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { ask } from '../helpers/ask.ts';
import { startCloud, type Cloud } from '../helpers/cloud.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { pullImage } from '../helpers/pull-image.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { cloudAccount, layerSettings, operator } from './layer-settings.ts';
import { arrives, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { tells } from './tells.ts';

/** One module process and its parent, a process of this product as well. */
describe('a module that was away for longer than the message TTL', function () {
  this.timeout(90_000);

  let stage: Stage;
  let cloudPort: number;
  let cloud: Cloud;
  let layer: Layer;

  async function openParent(): Promise<Cloud> {
    const directory = join(stage.directory, 'cloud');
    const options = { kind: 'connected-registry', directory, account: cloudAccount, port: cloudPort } as const;
    return stage.open(startCloud({ ...options, registryBelow: 'traveller' }));
  }

  /** A TTL is a day at least: what housekeeping does after it is done here to the stopped parent. */
  async function forgetMessages(): Promise<void> {
    const store = await openStore({
      ...{ directory: join(stage.directory, 'cloud/data'), clock: systemClock, log: new RecordingLog() },
      carries: () => false,
    });
    try {
      expect(await store.journal.expire(new Date(Date.now() + 1))).to.be.above(0);
    } finally {
      await store.close();
    }
  }

  before(async () => {
    stage = await openStage();
    cloudPort = await freePort();
    cloud = await openParent();
    layer = await stage.open(
      startLayer({
        name: 'traveller',
        directory: join(stage.directory, 'layer'),
        parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
        desired: await layerSettings({ mode: 'ReadOnly' }),
      }),
    );
  });

  after(() => stage.close());

  it('compares everything when it is back, tells RecoveryService, and follows what no message tells it', async () => {
    const [kept, gone, fresh] = [sampleImage(['kept']), sampleImage(['gone']), sampleImage(['fresh'])];
    await push(cloud.endpoint, cloudAccount, 'plant/hello', kept, 'kept');
    await push(cloud.endpoint, cloudAccount, 'plant/hello', gone, 'gone');
    await arrives(layer.url, operator, ['plant/hello', 'gone'], gone);
    await tells(layer, 'that it is in sync', ({ inSync }) => inSync);
    await layer.stop();

    await push(cloud.endpoint, cloudAccount, 'plant/hello', fresh, 'fresh');
    const untagged = await ask(`http://${cloud.endpoint}/v2/plant/hello/manifests/gone`, cloudAccount, {
      method: 'DELETE',
    });
    expect(untagged.status).to.equal(202);
    await cloud.close();
    await forgetMessages();
    cloud = await openParent();

    await layer.start();
    await tells(layer, 'RecoveryService', ({ inSync, registrySyncResult: { syncTrigger, syncState } }) => {
      return inSync && syncTrigger === 'RecoveryService' && syncState === 'Succeeded';
    });
    await arrives(layer.url, operator, ['plant/hello', 'fresh'], fresh);
    await arrives(layer.url, operator, ['plant/hello', 'gone'], undefined);
    await pullImage(layer.url, operator, 'plant/hello', 'kept');
  });
});
