import { expect } from 'chai';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { openGateway, type Gateway } from '../../modules/registry/src/gateway/open-gateway.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import type { ChildRegistry } from '../../modules/registry/src/settings/settings.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { json, reader, startRegistry, type RegistryServer } from './registry-server.ts';

const child = 'childsync:child-password';
const path = '/acr/gateway/plant7line3/messages';

describe('the message feed', () => {
  let server: RegistryServer;
  let epoch: AbortController;
  let plant7line3: ChildRegistry;

  beforeEach(async () => {
    epoch = new AbortController();
    server = await startRegistry({ patience: () => epoch.signal });
    const hash = await hashPassword('child-password', { ln: 10 });
    plant7line3 = {
      ...{ name: 'plant7line3', mode: 'ReadOnly', repositories: [parseRepositoryPattern('plant/*')!] },
      syncToken: { name: 'childsync', status: 'enabled', passwords: [{ name: 'password1', hash, expiry: undefined }] },
    };
    server.applyAccounts({ clientTokens: [], scopeMaps: [], children: [plant7line3] });
  });
  afterEach(() => server.close());

  const change = (name: string): Promise<void> =>
    pushImage(server.store.local, repository(name), sampleImage([name]), tag('1'));

  it('is a child’s own, under Basic and under a bearer token for its gateway scope', async () => {
    expect((await server.ask('GET', path, { as: undefined })).status).to.equal(401);
    expect((await server.ask('GET', path, { as: reader })).status).to.equal(401);
    expect((await server.ask('GET', '/acr/gateway/otherchild/messages', { as: child })).code).to.equal('DENIED');
    expect((await server.ask('GET', '/acr/gateway/no/messages', { as: child })).code).to.equal('NAME_INVALID');

    const challenge = await server.ask('GET', path, { as: undefined });
    expect(challenge.headers['www-authenticate']).to.include('scope="gateway:plant7line3:message_read"');
    const scope = 'gateway:plant7line3:message_read';
    const token = json(await server.ask('GET', `/acr/oauth2/token?service=x&scope=${scope}`, { as: child }));
    await change('plant/hello');
    const answer = json(await server.ask('GET', `${path}?after=0`, { as: String(token['access_token']) }));
    expect(answer['messages']).to.have.length(1);
  });

  it('answers a waiting child when something changes', async () => {
    const waiting = server.ask('GET', `${path}?after=0&wait=60`, { as: child });
    await change('plant/hello');
    expect(json(await waiting)['messages']).to.have.length(1);
  });

  it('tells a waiting child that asks for it what is on its way here', async () => {
    const { arrivals } = server.gateway;
    const waiting = server.ask('GET', `${path}?after=0&arriving=${arrivals.head}&wait=60`, { as: child });
    const blob = { repository: repository('plant/hello'), tag: tag('1'), digest: digestOf(Buffer.of(1)), size: 1 };
    const end = arrivals.begin(blob);
    expect(json(await waiting)['arriving']).to.deep.equal({ head: arrivals.head, blobs: [blob] });
    end();
    const later = json(await server.ask('GET', `${path}?arriving=0`, { as: child }));
    expect(later['arriving']).to.deep.equal({ head: arrivals.head, blobs: [] });
    const wrong = await server.ask('GET', `${path}?arriving=soon`, { as: child });
    expect(wrong.code).to.equal('PAGINATION_NUMBER_INVALID');
  });

  it('ends the wait when settings change, as the child may see other repositories now', async () => {
    const waiting = server.ask('GET', `${path}?after=0&wait=60`, { as: child });
    await change('office/hello');
    epoch.abort();
    const { journalId: journal } = server.gateway;
    expect(json(await waiting)).to.deep.equal({ journal, head: server.store.journal.head, messages: [] });
  });

  it('tells a child that knows another journal to compare afresh, at once', async () => {
    const answer = await server.ask('GET', `${path}?after=0&journal=of-a-lost-volume&wait=60`, { as: child });
    expect(json(answer)).to.include({ expired: true, journal: server.gateway.journalId });
  });

  it('serves the active instance only, where one names itself', async () => {
    const as = child;
    expect(await server.ask('GET', `${path}?instance=one`, { as })).to.include({ status: 409, code: 'NOT_ACTIVATED' });
    const body = JSON.stringify({ instanceId: 'one', version: '0.1.0', mode: 'ReadOnly', repositories: [] });
    await server.ask('PUT', '/acr/gateway/plant7line3/activation', { as, body });
    expect((await server.ask('GET', `${path}?instance=one`, { as })).status).to.equal(200);
    expect((await server.ask('GET', `${path}?instance=two`, { as })).code).to.equal('ALREADY_ACTIVATED');
  });

  describe('the status of a child', () => {
    const status = '/acr/gateway/plant7line3/status';
    const told = { instanceId: 'one', connectionState: 'Online', inSync: true, outboxPending: 2 };
    const tell = (part: object) => server.ask('PUT', status, { as: child, body: JSON.stringify({ ...told, ...part }) });
    beforeEach(async () => {
      const body = JSON.stringify({ instanceId: 'one', version: '0.1.0', mode: 'ReadOnly', repositories: [] });
      await server.ask('PUT', '/acr/gateway/plant7line3/activation', { as: child, body });
    });

    it('is known to the parent with who is below, until the child is silent for too long', async () => {
      expect(server.gateway.children()[0]).to.include({ activation: 'Active' }).and.not.have.property('inSync');
      const children = { total: 3, inSync: 2, worst: 'Unhealthy' };
      expect((await tell({ lastSync: '2026-11-24T08:59:00Z', children })).status).to.equal(204);
      const known = { connectionState: 'Online', inSync: true, outboxPending: 2 };
      expect(server.gateway.children()).to.deep.equal([
        {
          ...{ name: 'plant7line3', mode: 'ReadOnly', activation: 'Active', version: '0.1.0', ...known },
          ...{ lastSync: new Date('2026-11-24T08:59:00Z'), lastSeen: server.clock.now(), below: children },
        },
      ]);
      await server.clock.advance(25 * 60_000);
      expect(server.gateway.children()[0]).to.include({ connectionState: 'Offline', inSync: false });
    });

    it('leaves after a restart of the parent when the child was last seen, and that it is silent since', async () => {
      const { store, clock, log } = server;
      await tell({});
      const seen = clock.now();
      await clock.advance(60_000);
      await tell({});
      const [child] = server.gateway.children();
      const restart = async (): Promise<Gateway> => {
        const restarted = await openGateway({ records: store.records, clock, log });
        restarted.apply({ mode: 'ReadWrite', children: [plant7line3] });
        return restarted;
      };
      expect(child).to.deep.include({ lastSeen: clock.now() });
      expect((await restart()).children()[0])
        .to.deep.include({ lastSeen: seen })
        .and.not.have.property('inSync');
      await clock.advance(25 * 60_000);
      const silent = { lastSeen: seen, connectionState: 'Offline', inSync: false };
      expect((await restart()).children()[0]).to.deep.include(silent);
    });

    it('is forgotten with when it was last seen, once the child is no longer in the settings', async () => {
      const { store, gateway, clock, log } = server;
      await tell({});
      gateway.apply({ mode: 'ReadWrite', children: [] });
      gateway.apply({ mode: 'ReadWrite', children: [plant7line3] });
      expect(gateway.children()[0]).not.to.have.any.keys('lastSeen', 'connectionState', 'inSync');
      const written = async (): Promise<object> => (await store.records.get('gateway-last-seen')) as object;
      while (Object.keys(await written()).length > 0) await new Promise((resolve) => setImmediate(resolve));
      const restarted = await openGateway({ records: store.records, clock, log });
      restarted.apply({ mode: 'ReadWrite', children: [plant7line3] });
      expect(restarted.children()[0]).not.to.have.property('lastSeen');
    });

    it('is taken from the active instance alone', async () => {
      expect((await tell({ instanceId: 'two' })).code).to.equal('ALREADY_ACTIVATED');
      expect((await server.ask('PUT', status, { as: reader, body: '{}' })).status).to.equal(401);
    });

    for (const [field, value] of [
      ['inSync', 'yes'],
      ['connectionState', 'Fine'],
      ['outboxPending', -1],
      ['lastSync', 'yesterday'],
      ['worst', 'Fine'],
    ] as const) {
      it(`is refused with a ${field} that is none`, async () => {
        const answer = await tell(
          field === 'worst' ? { children: { total: 1, inSync: 1, worst: value } } : { [field]: value },
        );
        expect(answer).to.include({ status: 400, code: 'GATEWAY_INVALID' });
        expect(answer.body.toString()).to.include(field);
      });
    }
  });

  it('names the parameter that is no whole number', async () => {
    const answer = await server.ask('GET', `${path}?after=-1`, { as: child });
    expect(answer.status).to.equal(400);
    expect(answer.body.toString()).to.include('after');
  });
});
