import { expect } from 'chai';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { openGateway } from '../../modules/registry/src/gateway/open-gateway.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import type { ParentError, ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import type { ChildRegistry, Mode, Settings } from '../../modules/registry/src/settings/settings.ts';
import { failureOf } from '../parent/scripted-registry.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { admin, json, reader, startRegistry, type RegistryServer } from './registry-server.ts';

const path = '/acr/gateway/plant7line3/activation';
const syncToken = 'childsync:child-password';
const operator = 'operator:operator-password';
const minuteMs = 60_000;

/** The child's client against the parent's API over HTTP, with the parent's real store. */
describe('activation at a parent', () => {
  let server: RegistryServer;
  let clients: ParentRegistry[];

  beforeEach(async () => {
    server = await startRegistry();
    clients = [];
    await give({});
  });
  afterEach(async () => {
    for (const client of clients) await client.close();
    await server.close();
  });

  const passwordOf = async (who: string) => [
    { name: 'password1', hash: await hashPassword(who.split(':')[1]!, { ln: 10 }), expiry: undefined },
  ];

  /** The parent's settings, with one child and a token that may steer its gateway. */
  async function give(child: Partial<ChildRegistry>, more: Partial<Pick<Settings, 'children'>> = {}): Promise<void> {
    server.applyAccounts({
      scopeMaps: [
        { name: 'gatekeepers', permissions: [{ kind: 'gateway', registry: 'plant7line3', action: 'config/write' }] },
      ],
      clientTokens: [
        { name: 'operator', status: 'enabled', scopeMap: 'gatekeepers', passwords: await passwordOf(operator) },
      ],
      children: [
        {
          name: 'plant7line3',
          mode: 'ReadWrite',
          repositories: [parseRepositoryPattern('plant/*')!],
          syncToken: { name: 'childsync', status: 'enabled', passwords: await passwordOf(syncToken) },
          ...child,
        },
      ],
      ...more,
    });
  }

  function instance(instanceId: string, password = 'child-password', registryName = 'plant7line3'): ParentRegistry {
    const client = connectParent({
      endpoint: server.host,
      protocol: 'http',
      credentials: { name: 'childsync', password },
      self: { registryName, instanceId, version: '0.1.0' },
      clock: server.clock,
      log: new RecordingLog(),
      patience: { attempts: 1 },
    });
    clients.push(client);
    return client;
  }

  const as = (mode: Mode, ...patterns: string[]) => ({
    mode,
    repositories: patterns.map((pattern) => parseRepositoryPattern(pattern)!),
  });
  const readOnly = as('ReadOnly', 'plant/hello');
  const holder = async (): Promise<unknown> => json(await server.ask('GET', path))['instanceId'];

  async function refusal(asking: Promise<unknown>): Promise<Pick<ParentError, 'failure' | 'message'>> {
    const { failure, message } = await failureOf(asking);
    return { failure, message };
  }

  it('is given to the first instance, and told with mode, version and since when', async () => {
    expect(json(await server.ask('GET', path))).to.deep.equal({ name: 'plant7line3', status: 'Inactive' });
    expect(await instance('first').activate(readOnly)).to.equal(true);
    expect(json(await server.ask('GET', path))).to.deep.equal({
      ...{ name: 'plant7line3', status: 'Active', instanceId: 'first', mode: 'ReadOnly', version: '0.1.0' },
      since: '2026-11-24T09:00:00.000Z',
    });
  });

  it('stays with the instance that has it, however often it asks, in the mode it asks for last', async () => {
    await instance('first').activate(readOnly);
    await server.clock.advance(minuteMs);
    await instance('first').activate(as('ReadWrite', 'plant/*'));
    const told = json(await server.ask('GET', path));
    expect(told).to.include({ mode: 'ReadWrite', since: '2026-11-24T09:00:00.000Z' });
  });

  it('is refused to another instance, which is told who has it, since when, and how to release it', async () => {
    await instance('first').activate(readOnly);
    const { failure, message } = await refusal(instance('lost volume').activate(readOnly));
    expect(failure).to.equal('held');
    for (const part of ['ALREADY_ACTIVATED', 'first', '2026-11-24T09:00:00.000Z', `DELETE ${path}`]) {
      expect(message).to.include(part);
    }
    expect(await holder()).to.equal('first');
  });

  it('goes to exactly one of many that ask at once', async () => {
    const asked = ['a', 'b', 'c', 'd', 'e'].map((id) => instance(id).activate(readOnly));
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
  });

  it('outlives a restart of the parent', async () => {
    await instance('first').activate(readOnly);
    const { store, clock, log } = server;
    const restarted = await openGateway({ records: store.records, clock, log });
    expect(restarted.holder('Plant7Line3')).to.include({ instanceId: 'first' });
  });

  it('is released by the instance that has it, and by no other', async () => {
    await instance('first').activate(readOnly);
    await instance('second').deactivate();
    expect(await holder()).to.equal('first');
    await instance('first').deactivate();
    expect(await instance('second').activate(readOnly)).to.equal(true);
  });

  it('is not released by a sync token that names no instance', async () => {
    await instance('first').activate(readOnly);
    expect((await server.ask('DELETE', path, { as: syncToken })).code).to.equal('DENIED');
    expect(await holder()).to.equal('first');
  });

  for (const who of [admin, operator]) {
    it(`is released by ${who.split(':')[0]!}, so that a waiting instance takes over`, async () => {
      await instance('first').activate(readOnly);
      expect((await server.ask('DELETE', path, { as: who })).status).to.equal(204);
      expect((await refusal(instance('first').activate(readOnly))).failure).to.equal('held');
      expect(await instance('second').activate(readOnly)).to.equal(true);
    });
  }

  it('comes back to an instance that was released, when nobody else wanted it', async () => {
    await instance('first').activate(readOnly);
    await server.ask('DELETE', path);
    await server.clock.advance(5 * minuteMs);
    expect(await instance('first').activate(readOnly)).to.equal(true);
  });

  it('is released when the child is taken out of the settings', async () => {
    await instance('first').activate(readOnly);
    await give({}, { children: [] });
    expect((await refusal(instance('first').activate(readOnly))).failure).to.equal('unauthorized');
    await give({});
    expect(await instance('second').activate(readOnly)).to.equal(true);
  });

  it('is refused with 401 for a wrong sync token', async () => {
    const answer = await server.ask('PUT', path, { as: 'childsync:wrong', body: '{}' });
    expect(answer).to.include({ status: 401, code: 'UNAUTHORIZED' });
    expect((await failureOf(instance('first', 'wrong').activate(readOnly))).failure).to.equal('unauthorized');
  });

  it('is refused with 403 under the name of another child', async () => {
    const { failure, message } = await refusal(instance('first', undefined, 'otherchild').activate(readOnly));
    expect(failure).to.equal('unfit');
    expect(message).to.include('DENIED');
    expect((await server.ask('PUT', path, { as: reader, body: '{}' })).status).to.equal(401);
  });

  describe('is refused to a child that', () => {
    const body = (part: object) =>
      JSON.stringify({ instanceId: 'first', version: '0.1.0', mode: 'ReadOnly', repositories: [], ...part });

    it('is not in the settings, though its token may', async () => {
      const answer = await server.ask('PUT', '/acr/gateway/unknown/activation', { body: body({}) });
      expect(answer).to.include({ status: 403, code: 'ACTIVATION_REFUSED' });
      expect(answer.body.toString()).to.include('unknown is not among the children');
    });

    it('is ReadWrite below a ReadOnly parent', async () => {
      server.state = { ...server.state, mode: 'ReadOnly' };
      await give({});
      const { failure, message } = await refusal(instance('first').activate(as('ReadWrite', 'plant/*')));
      expect(failure).to.equal('unfit');
      expect(message).to.include('a ReadOnly registry accepts only ReadOnly children');
      expect(await instance('first').activate(readOnly)).to.equal(true);
    });

    it('is ReadWrite where its entry says ReadOnly', async () => {
      await give({ mode: 'ReadOnly' });
      expect((await refusal(instance('first').activate(as('ReadWrite', 'plant/*')))).failure).to.equal('unfit');
      expect(await instance('first').activate(readOnly)).to.equal(true);
    });

    it('asks for repositories it is not given', async () => {
      const { failure, message } = await refusal(
        instance('first').activate(as('ReadOnly', 'plant/a', 'office/*', '*')),
      );
      expect(failure).to.equal('unfit');
      expect(message).to.include('office/*, *').and.not.include('plant/a');
    });

    for (const [part, field] of [
      [{ mode: 'Sometimes' }, 'mode'],
      [{ repositories: ['Plant'] }, 'repositories/0'],
      [{ repositories: 'plant/*' }, 'repositories'],
      [{ instanceId: '' }, 'instanceId'],
      [{ version: 7 }, 'version'],
    ] as const) {
      it(`sends a ${field} that is none`, async () => {
        const answer = await server.ask('PUT', path, { as: syncToken, body: body(part) });
        expect(answer).to.include({ status: 400, code: 'GATEWAY_INVALID' });
        expect(answer.body.toString()).to.include(field);
      });
    }
  });
});
