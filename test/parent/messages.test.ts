import { expect } from 'chai';
import type { ChildIdentity } from '../../modules/registry/src/parent/activation.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { startScriptedRegistry, withParent, type Script, type ScriptedRegistry } from './scripted-registry.ts';

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
const digest = `sha256:${'a'.repeat(64)}`;
const nothing = { journal: 'j1', head: 7, messages: [] };

describe('readMessages() of the parent', () => {
  it('asks for its own name and instance, first without a cursor and then after it', async () => {
    await withFeed(answering(200, nothing), async ({ parent, registry }) => {
      const cursor = { journal: 'j1', head: 7 };
      const answer = { cursor, messages: [], expired: false, more: false };
      expect(await parent.readMessages({ signal })).to.deep.equal(answer);
      expect(await parent.readMessages({ after: cursor, waitSeconds: 50, signal })).to.deep.equal(answer);
      expect(registry.lines).to.deep.equal([
        'GET /acr/gateway/plant7line3/messages?instance=this-instance',
        'GET /acr/gateway/plant7line3/messages?instance=this-instance&after=7&journal=j1&wait=50',
      ]);
    });
  });

  it('asks for hints where it is told to, and leaves out those that make no sense', async () => {
    const hint = {
      repository: 'plant/hello',
      tag: '1',
      digest,
      size: 5,
      platform: { os: 'linux', architecture: 'arm' },
    };
    const wrong = [
      null,
      'x',
      { ...hint, digest: 'x' },
      { ...hint, size: -1 },
      { ...hint, tag: '' },
      { ...hint, repository: '../x' },
    ];
    const pushed = { repository: hint.repository, digest, size: 1 };
    const named = { ...hint, tag: 'wrong' };
    const said = { ...nothing, arriving: { head: 12, blobs: [...wrong, hint, named, pushed] } };
    await withFeed(answering(200, said), async ({ parent, registry }) => {
      const answer = await parent.readMessages({ arriving: 11, signal });
      expect(answer?.arriving).to.deep.equal({ head: 12, blobs: [hint, named, pushed] });
      expect(registry.lines).to.deep.equal([
        'GET /acr/gateway/plant7line3/messages?instance=this-instance&arriving=11',
      ]);
    });
    for (const arriving of ['x', { head: 'x', blobs: [] }, { head: -1, blobs: [] }, { head: 1 }]) {
      await withFeed(answering(200, { ...nothing, arriving }), async ({ parent }) => {
        expect(await parent.readMessages({ arriving: 0, signal })).not.to.have.property('arriving');
      });
    }
  });

  it('tells changes, and that the parent knows no more what happened', async () => {
    const known = { action: 'untag', repository: 'plant/hello', digest, tag: '1' };
    const said = {
      journal: 'j2',
      head: 8,
      messages: [{ sequence: 8, timestamp: 'x', ...known }],
      expired: true,
      more: true,
    };
    await withFeed(answering(200, said), async ({ parent }) => {
      expect(await parent.readMessages({ after: { journal: 'j1', head: 7 }, signal })).to.deep.equal({
        ...{ cursor: { journal: 'j2', head: 8 }, messages: [known] },
        ...{ expired: true, more: true },
      });
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

  it('tells that this instance is not the active one', async () => {
    const body = { errors: [{ code: 'NOT_ACTIVATED', message: 'not activated' }] };
    await withFeed(answering(409, body), async ({ parent }) => {
      const error = await parent.readMessages({ signal }).catch((caught: unknown) => caught);
      expect(error).to.include({ failure: 'held' });
    });
  });

  for (const [what, value] of [
    ['something else', { hello: true }],
    ['a repository that is none', { ...nothing, messages: [{ action: 'push', repository: '../x', digest }] }],
    ['a digest that is none', { ...nothing, messages: [{ action: 'push', repository: 'plant/a', digest: 'x' }] }],
    ['an action that is none', { ...nothing, messages: [{ action: 'burn', repository: 'plant/a', digest }] }],
    ['a tag that is none', { ...nothing, messages: [{ action: 'tag', repository: 'plant/a', digest, tag: '' }] }],
  ] as const) {
    it(`takes ${what} for broken`, async () => {
      await withFeed(answering(200, value), async ({ parent }) => {
        const error = await parent.readMessages({ signal }).catch((caught: unknown) => caught);
        expect(error).to.include({ failure: 'broken' });
      });
    });
  }

  it('asks for nothing without a name', async () => {
    await withParent(answering(200, nothing), async ({ parent, lines }) => {
      expect(await parent.readMessages({ signal })).to.equal(undefined);
      expect(lines).to.deep.equal([]);
    });
  });
});
