import { expect } from 'chai';
import { join } from 'node:path';
import { ask } from '../helpers/ask.ts';
import type { Cloud } from '../helpers/cloud.ts';
import type { Properties } from '../helpers/edgehub-rules.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { authorize, digestOfTag, type Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { cloudAccount, layerSettings, operator, passwordsOf } from './layer-settings.ts';
import { arrives, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';
import { tells } from './tells.ts';
import { openCloud } from './open-cloud.ts';

const puller: Account = { name: 'puller', password: 'puller-password' };

interface Steered extends Properties {
  readonly activation?: { readonly status: string; readonly instanceId: string };
  readonly settings?: { readonly version: number; readonly status: string; readonly problems: { path: string }[] };
}

/** One module process below a cloud, steered by its module twin. The tests follow each other on the same volume. */
describe('a module steered by its twin', function () {
  // Longer than `until` waits, so that it is the one to say what did not come.
  this.timeout(45_000);

  let stage: Stage;
  let cloud: Cloud;
  let layer: Layer;
  let good: Properties;

  before(async () => {
    stage = await openStage();
    cloud = await openCloud(stage, 'steered');
    const settings = await layerSettings();
    good = {
      ...settings,
      scopeMaps: [
        ...(settings['scopeMaps'] as Properties[]),
        { name: 'pullers', actions: ['repositories/plant/*/content/read', 'repositories/plant/*/metadata/read'] },
      ],
      clientTokens: [
        ...(settings['clientTokens'] as Properties[]),
        { name: puller.name, scopeMap: 'pullers', passwords: await passwordsOf(puller) },
      ],
    };
    await push(cloud.endpoint, cloudAccount, 'plant/hello', hello, '1');
    layer = await stage.open(
      startLayer({
        name: 'steered',
        directory: join(stage.directory, 'layer'),
        parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
        desired: good,
      }),
    );
    await arrives(layer.url, operator, ['plant/hello', '1'], hello);
  });

  after(() => stage.close());

  const hello = sampleImage(['hello']);
  const steer = (more: Properties): boolean => layer.site.hub.replaceDesired('registry', { ...good, ...more });
  const call = (name: string, payload?: unknown) => layer.site.hub.invokeMethod('registry', name, payload);
  const pull = (account: Account | string | undefined = operator) =>
    ask(`${layer.url}/v2/plant/hello/manifests/1`, account);
  const startPush = (account: Account | string = operator) =>
    ask(`${layer.url}/v2/plant/hello/blobs/uploads/`, account, { method: 'POST' });
  const reported = (what: string, condition: (report: Steered) => boolean) =>
    layer.reported(what, (report) => condition(report)) as Promise<Steered>;
  const newestIs = (status: string) => (report: Steered) =>
    report.settings?.status === status && report.settings.version === layer.site.hub.twin('registry').desiredVersion;

  describe('clients', () => {
    it('are told apart: wrong password and none 401, a scope that is missing 403', async () => {
      expect(await pull({ ...operator, password: 'wrong' })).to.include({ status: 401, code: 'UNAUTHORIZED' });
      expect(await pull({ name: 'nobody', password: 'wrong' })).to.include({ status: 401, code: 'UNAUTHORIZED' });
      const anonymous = await ask(`${layer.url}/v2/plant/hello/manifests/1`, undefined);
      expect(anonymous).to.include({ status: 401, code: 'UNAUTHORIZED' });
      expect(await pull(puller)).to.include({ status: 200 });
      expect(await startPush(puller)).to.include({ status: 403, code: 'DENIED' });
      const foreign = await ask(`${layer.url}/v2/office/hello/manifests/1`, puller);
      expect(foreign).to.include({ status: 403, code: 'DENIED' });
    });

    it('are out at once when a twin update disables their token, with bearer tokens issued before too', async () => {
      const bearer = await authorize(layer.url, puller, 'plant/hello');
      expect(await pull(bearer)).to.include({ status: 200 });
      const [first, second] = good['clientTokens'] as Properties[];
      steer({ clientTokens: [first, { ...second, status: 'disabled' }] });

      await until('the bearer token is refused', async () => (await pull(bearer)).code === 'UNAUTHORIZED');
      expect(await pull(puller)).to.include({ status: 401, code: 'UNAUTHORIZED' });
      expect(await pull()).to.include({ status: 200 });
      steer({});
      await until('the token works again', async () => (await pull(puller)).status === 200);
    });

    it('cannot push while the mode is ReadOnly', async () => {
      steer({ mode: 'ReadOnly' });
      await until('pushes are refused', async () => (await startPush()).code === 'UNSUPPORTED');
      const refused = await startPush();
      expect(refused.status).to.equal(405);
      expect(refused.body.toString()).to.contain('This operation is not allowed on this registry');
      expect(await pull()).to.include({ status: 200 });
      steer({});
      await until('pushes are taken', async () => (await startPush()).status === 202);
    });
  });

  describe('direct methods', () => {
    for (const payload of [undefined, {}, null]) {
      it(`status answers with the reported properties: ${JSON.stringify(payload)}`, async () => {
        const { status, payload: answer } = await call('status', payload);
        expect(status).to.equal(200);
        expect(answer).to.include({ mode: 'ReadWrite', version: '0.1.0' }).and.to.include.keys('inSync', 'activation');
      });
    }

    for (const payload of ['text', 7, ['a'], { deep: { er: [null, 1] } }]) {
      it(`refuse a payload they do not know: ${JSON.stringify(payload)}`, async () => {
        for (const name of ['status', 'resync', 'collectGarbage', 'deactivate']) {
          const { status, payload: answer } = await call(name, payload);
          expect(status, name).to.equal(400);
          expect(answer).to.have.property('message').that.contains('the payload is refused');
        }
      });
    }

    it('resync starts a pass', async () => {
      await tells(layer, 'in sync', ({ inSync }) => inSync);
      expect(await call('resync')).to.deep.equal({ status: 202, payload: { started: true } });
      await tells(layer, 'that it has ended', ({ registrySyncResult: { syncTrigger, syncState } }) => {
        return syncTrigger === 'ManualResync' && syncState === 'Succeeded';
      });
    });
  });

  describe('a broken document', () => {
    const problems = ['/bogus', '/clientTokens/0/passwords/0/hash', '/mode', '/parent/syncProperties/syncWindow'];
    const pathsOf = (report: Steered) => report.settings?.problems.map(({ path }) => path).sort();

    it('is Rejected with the path of each problem and changes nothing', async () => {
      steer({
        bogus: true,
        mode: 'Sometimes',
        parent: { syncProperties: { schedule: '0 5 * * *' } },
        clientTokens: [{ name: 'newcomer', scopeMap: 'operators', passwords: [{ name: 'p1', hash: 'in the clear' }] }],
      });
      const report = await reported('Rejected', newestIs('Rejected'));
      expect(pathsOf(report)).to.deep.equal(problems);
      expect(JSON.stringify(report)).not.to.contain('in the clear');
      expect(layer.program.output).not.to.contain('in the clear');
      expect(report).to.include({ mode: 'ReadWrite' });
      expect(await pull(puller)).to.include({ status: 200 });
      expect(await startPush()).to.include({ status: 202 });
    });

    it('changes nothing after a restart either', async () => {
      expect(await layer.stop()).to.equal(0);
      layer.site.hub.twin('registry').reported = {};
      await layer.start();
      const report = await reported('Rejected again', newestIs('Rejected'));
      expect(pathsOf(report)).to.deep.equal(problems);
      expect(report).to.include({ mode: 'ReadWrite' });
      expect(await pull(puller)).to.include({ status: 200 });
      expect(await startPush()).to.include({ status: 202 });
    });

    it('is forgotten once a good one is Applied', async () => {
      steer({ mode: 'ReadOnly' });
      const report = await reported('Applied', newestIs('Applied'));
      expect(report.settings?.problems).to.deep.equal([]);
      expect(report).to.include({ mode: 'ReadOnly' });
      steer({});
    });
  });

  describe('a hub that is away at the start', () => {
    it('leaves the last good settings in force for pulls and sync, and hears of all when it is back', async () => {
      await until('pushes are taken', async () => (await startPush()).status === 202);
      await layer.stop();
      await layer.site.hub.stopListening();
      await layer.start();

      expect(await pull()).to.include({ status: 200 });
      expect(await pull(puller)).to.include({ status: 200 });
      const news = sampleImage(['pushed while the hub was away']);
      await push(cloud.endpoint, cloudAccount, 'plant/news', news, '1');
      await arrives(layer.url, operator, ['plant/news', '1'], news);
      expect(layer.site.hub.isOnline('registry')).to.equal(false);
      expect(JSON.stringify(layer.report)).not.to.contain('plant/news');

      await layer.site.hub.listen();
      const told = await reported('what came meanwhile', ({ inSync, syncProgress }) => {
        const { repositories = [] } = (syncProgress ?? {}) as { repositories?: { name: string }[] };
        return inSync === true && repositories.some(({ name }) => name === 'plant/news');
      });
      expect(told.settings?.status).to.equal('Applied');
    });
  });

  describe('notifications', () => {
    it('go to the output of their name, for the hub to route', async () => {
      steer({ notificationsList: ['plant/*:*:*'] });
      await reported('Applied', newestIs('Applied'));
      const told = () => layer.site.hub.events.map(({ output, body }) => ({ output, ...parseEvent(body) }));
      await until('the first push is told', async () => {
        await push(layer.endpoint, operator, 'plant/told', sampleImage([`told ${Date.now()}`]), '1');
        return told().length > 0;
      });
      const eventType = 'Microsoft.ContainerRegistry.ImagePushed';
      expect(told()[0]).to.deep.equal({ output: 'notifications', eventType, subject: 'plant/told:1' });
      steer({});
    });
  });

  describe('activation', () => {
    it('is given up by the direct method deactivate, over a restart, until a document says Active', async () => {
      expect((await call('deactivate')).status).to.equal(200);
      expect(await pull()).to.include({ status: 503, code: 'INACTIVE' });
      await reported('Inactive', ({ activation }) => activation?.status === 'Inactive');
      await layer.stop();
      await layer.start();
      expect(await pull()).to.include({ status: 503, code: 'INACTIVE' });
      steer({ activation: { status: 'Active' } });
      await until('pulls are served', async () => (await pull()).status === 200);
      await reported('Active', ({ activation }) => activation?.status === 'Active');
      steer({});
    });

    it('Inactive refuses pulls and pushes, stops sync and keeps the data; Active goes on', async () => {
      steer({ activation: { status: 'Inactive' } });
      const report = await reported('Inactive', ({ activation }) => activation?.status === 'Inactive');
      expect(report.registrySyncResult).to.include({ syncState: 'NotActivated' });
      expect(await pull()).to.include({ status: 503, code: 'INACTIVE' });
      expect(await startPush()).to.include({ status: 503, code: 'INACTIVE' });
      expect((await fetch(`${layer.metricsUrl}/readyz`)).status).to.equal(503);
      expect((await call('resync')).status).to.equal(409);
      const late = sampleImage(['pushed while inactive']);
      await push(cloud.endpoint, cloudAccount, 'plant/late', late, '1');

      steer({});
      await until('pulls are served', async () => (await pull()).status === 200);
      expect(await digestOfTag(layer.url, operator, 'plant/hello', '1')).to.equal(hello.manifest.digest);
      expect(await startPush()).to.include({ status: 202 });
      await arrives(layer.url, operator, ['plant/late', '1'], late);
      await reported('Active', ({ activation }) => activation?.status === 'Active');
    });

    it('held by another instance refuses writes and sync, serves reads and leaves the entry of the other', async () => {
      const own = (layer.report as Steered).activation?.instanceId;
      const other = { status: 'Active', instanceId: 'another-instance', since: '2026-01-01T00:00:00.000Z' };
      await layer.stop();
      const { reported: before } = layer.site.hub.twin('registry');
      layer.site.hub.twin('registry').reported = { ...before, activation: other, version: 'of the other' };
      const claims: unknown[] = [];
      const note = (_: string, { activation }: Steered) => {
        if (activation?.instanceId === own) claims.push(activation);
      };
      layer.site.hub.on('reported', note);
      await layer.start();

      await until('pushes are refused', async () => (await startPush()).code === 'ALREADY_ACTIVATED');
      expect(await startPush()).to.include({ status: 409 });
      expect(await pull()).to.include({ status: 200 });
      expect((await call('resync')).status).to.equal(409);
      const held = await reported('something of its own', ({ version }) => version === '0.1.0');
      expect(held.activation).to.deep.equal(other);
      expect(claims).to.deep.equal([]);
      layer.site.hub.off('reported', note);

      steer({ activation: { status: 'Inactive' } });
      await reported('released', ({ activation }) => activation?.status === 'Inactive');
      steer({});
      const report = await reported('taken over', ({ activation }) => activation?.status === 'Active');
      expect(report.activation?.instanceId).to.equal(own);
      expect(await startPush()).to.include({ status: 202 });
    });
  });
});

function parseEvent(body: string): { eventType: string; subject: string } {
  const { eventType, subject } = JSON.parse(body) as { eventType: string; subject: string };
  return { eventType, subject };
}
