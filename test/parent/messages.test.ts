import { expect } from 'chai';
import type { ChildIdentity } from '../../modules/registry/src/parent/activation.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { startScriptedRegistry, type Script, type ScriptedRegistry } from './scripted-registry.ts';

async function withFeed(
  script: Script,
  body: (test: { parent: ParentRegistry; registry: ScriptedRegistry; clock: ManualClock }) => Promise<void>,
  self: ChildIdentity | undefined = { registryName: 'plant7line3', instanceId: 'this-instance', version: '0.1.0' },
): Promise<void> {
  const registry = await startScriptedRegistry(script);
  const clock = new ManualClock();
  const parent = connectParent({
    endpoint: registry.endpoint,
    protocol: 'http',
    clock,
    log: new RecordingLog(),
    self,
  });
  try {
    await body({ parent, registry, clock });
  } finally {
    await parent.close();
    await registry.close();
  }
}

const answering =
  (status: number, value: unknown): Script =>
  (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
const { signal } = new AbortController();

describe('readMessages() of the parent', () => {
  it('asks for its own name, first without a cursor and then after it', async () => {
    await withFeed(answering(200, { head: 7, messages: [] }), async ({ parent, registry }) => {
      expect(await parent.readMessages({ signal })).to.deep.equal({ head: 7, changed: false });
      expect(await parent.readMessages({ after: 7, signal })).to.deep.equal({ head: 7, changed: false });
      expect(registry.lines[0]).to.equal('GET /acr/gateway/plant7line3/messages');
      expect(registry.lines[1]).to.match(/^GET \/acr\/gateway\/plant7line3\/messages\?after=7&wait=\d+$/);
    });
  });

  it('tells a change, and a journal that began anew', async () => {
    await withFeed(answering(200, { head: 8, messages: [{ sequence: 8 }] }), async ({ parent }) => {
      expect(await parent.readMessages({ after: 7, signal })).to.deep.equal({ head: 8, changed: true });
    });
    await withFeed(answering(200, { head: 2, messages: [] }), async ({ parent }) => {
      expect(await parent.readMessages({ after: 7, signal })).to.deep.equal({ head: 2, changed: true });
    });
  });

  it('leaves a parent without a feed alone for an hour', async () => {
    await withFeed(answering(404, {}), async ({ parent, registry, clock }) => {
      expect(await parent.readMessages({ signal })).to.equal(undefined);
      expect(await parent.readMessages({ signal })).to.equal(undefined);
      expect(registry.lines).to.have.length(1);
      await clock.advance(3_600_000);
      expect(await parent.readMessages({ signal })).to.equal(undefined);
      expect(registry.lines).to.have.length(2);
    });
  });

  it('takes something else for broken, and asks for nothing without a name', async () => {
    await withFeed(answering(200, { hello: true }), async ({ parent }) => {
      const error = await parent.readMessages({ signal }).catch((caught: unknown) => caught);
      expect(error).to.include({ failure: 'broken' });
    });
    await withFeed(answering(200, { head: 1, messages: [] }), async ({ parent, registry }) => {
      expect(await parent.readMessages({ signal })).to.deep.equal({ head: 1, changed: false });
      expect(registry.lines).to.have.length(1);
    });
  });
});
