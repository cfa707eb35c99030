import { expect } from 'chai';
import { join } from 'node:path';
import { ask } from '../helpers/ask.ts';
import { startCloud, type Cloud } from '../helpers/cloud.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { pullImage } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { cloudAccount, layerSettings, operator } from './layer-settings.ts';
import { arrives, knows, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { tells, type Told } from './tells.ts';

/** One module process whose parent comes and goes. The tests follow each other. */
describe('a module whose parent is away', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;
  let cloudPort: number;
  let cloud: Cloud;
  let layer: Layer;

  before(async () => {
    stage = await openStage();
    cloudPort = await freePort();
    layer = await stage.open(
      startLayer({
        name: 'lonely',
        directory: join(stage.directory, 'layer'),
        parent: { endpoint: `127.0.0.1:${cloudPort}`, syncToken: cloudAccount },
        desired: await layerSettings(),
      }),
    );
  });

  after(() => stage.close());

  const made = sampleImage(['made here']);
  const sent = sampleImage(['sent from above']);

  async function startParent(): Promise<void> {
    cloud = await stage.open(
      startCloud({
        kind: 'connected-registry',
        directory: join(stage.directory, 'cloud'),
        account: cloudAccount,
        port: cloudPort,
        registryBelow: 'lonely',
      }),
    );
  }

  const isOffline = ({ connectionState, statusDetails }: Told): boolean =>
    connectionState === 'Offline' && statusDetails.some(({ code }) => code === 'PARENT_UNREACHABLE');

  it('starts, takes pushes and keeps them for the parent, and reports why it is Offline', async () => {
    await knows(layer.url, operator);
    await push(layer.endpoint, operator, 'plant/made', made, '1');
    await pullImage(layer.url, operator, 'plant/made', '1');
    const { inSync } = await tells(
      layer,
      'Offline, with the push waiting',
      (told) => isOffline(told) && told.outbox.pending > 0,
    );
    expect(inSync).to.equal(false);
  });

  it('goes on by itself when the parent comes: carries up what waited, brings down what is new', async function () {
    this.timeout(90_000);
    await startParent();
    await push(cloud.endpoint, cloudAccount, 'plant/sent', sent, '1');
    await tells(layer, 'in sync', ({ inSync, outbox }) => inSync && outbox.pending === 0, 70_000);
    await pullImage(`http://${cloud.endpoint}`, cloudAccount, 'plant/made', '1');
    await arrives(layer.url, operator, ['plant/sent', '1'], sent);
    const { connectionState, statusDetails } = await tells(
      layer,
      'Online',
      (told) => told.connectionState === 'Online',
    );
    expect({ connectionState, statusDetails }).to.deep.equal({ connectionState: 'Online', statusDetails: [] });
  });

  it('serves what it has when the parent goes, over a restart too', async () => {
    await cloud.close();
    await layer.site.hub.invokeMethod('registry', 'resync');
    await tells(layer, 'Offline', isOffline);
    await pullImage(layer.url, operator, 'plant/sent', '1');

    await layer.stop();
    await layer.start();
    await pullImage(layer.url, operator, 'plant/sent', '1');
    const upload = await ask(`${layer.url}/v2/plant/made/blobs/uploads/`, operator, { method: 'POST' });
    expect(upload.status).to.equal(202);
    expect((await fetch(`${layer.metricsUrl}/readyz`)).status).to.equal(200);
  });

  it('is back in sync after resync once the parent is back', async () => {
    await layer.site.hub.waitFor((hub) => hub.isOnline('registry'));
    await startParent();
    await push(cloud.endpoint, cloudAccount, 'plant/sent', made, '2');
    await until('resync is begun', async () => {
      return (await layer.site.hub.invokeMethod('registry', 'resync')).status === 202;
    });
    await arrives(layer.url, operator, ['plant/sent', '2'], made);
    await tells(layer, 'in sync', ({ inSync, connectionState }) => inSync && connectionState === 'Online');
  });
});
