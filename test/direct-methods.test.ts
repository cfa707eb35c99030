import { expect } from 'chai';
import { answerDirectMethods } from '../modules/registry/src/direct-methods.ts';
import { createSteering, type Steering } from '../modules/registry/src/steering.ts';
import type { Collected } from '../modules/registry/src/store/store.ts';
import type { Finding, Verification } from '../modules/registry/src/store/verification.ts';
import { repository } from './helpers/names.ts';
import { createMethods } from '../modules/registry/src/twin/methods.ts';
import type { Json, MethodResult } from '../modules/registry/src/twin/twin.ts';
import { withStore, type StoreTest } from './store/with-store.ts';

interface Site extends StoreTest {
  readonly steering: Steering;
  readonly call: (name: string, payload?: Json) => Promise<MethodResult>;
  readonly started: {
    pass: boolean;
    collected: Collected | undefined;
    readonly dryRuns: boolean[];
    readonly verifications: object[];
    verification: Promise<Verification> | undefined;
  };
}

const progress = { blobs: 1, blobsTotal: 2, bytes: 10, bytesTotal: 20, findings: 0 };
const clean: Verification = {
  ...{ blobs: 2, bytes: 20, manifests: 1, tags: 1, links: 2, unknownFiles: 0 },
  ...{ findings: 0, first: [], repaired: 0 },
};
const collected = { blobs: 1, bytes: 7, uploads: 0, manifests: 0 };

function withSite(body: (site: Site) => Promise<void>): () => Promise<void> {
  return withStore(async (test) => {
    const steering = await steeringOf(test);
    const methods = createMethods(test.log);
    const started: Site['started'] = {
      ...{ pass: true, collected, dryRuns: [] },
      ...{ verifications: [], verification: Promise.resolve(clean) },
    };
    answerDirectMethods({
      twin: { onMethod: (name, handler) => methods.set(name, handler) },
      instanceId: 'us',
      steering,
      sync: { resync: () => Promise.resolve({ started: started.pass }) },
      garbage: {
        collectNow({ dryRun }) {
          started.dryRuns.push(dryRun);
          return Promise.resolve(started.collected);
        },
      },
      integrity: {
        progress,
        verify(asked) {
          started.verifications.push(asked);
          return started.verification;
        },
      },
      clock: test.clock,
      report: () => ({ mode: steering.course.settings.mode }),
    });
    await body({ ...test, steering, started, call: (name, payload = null) => methods.call(name, payload) });
  });
}

function steeringOf({ store, clock, log }: StoreTest): Promise<Steering> {
  const own = { instanceId: 'us', connection: undefined, variables: {}, onCourse: () => undefined };
  return createSteering({ records: store.records, clock, log, ...own });
}

const other = { status: 'Active', instanceId: 'them' };
const document = (version: number, desired: Readonly<Record<string, Json>> = {}, reported = {}) => ({
  ...{ version, desired, reported },
});

describe('direct methods', () => {
  it(
    'refuse a payload that breaks a rule, and name field, kind and rule',
    withSite(async ({ call, started }) => {
      for (const [name, payload, problem] of [
        ['status', [], { path: '', message: 'must be an object, found a list' }],
        ['status', 7, { path: '', message: 'must be an object, found a number' }],
        ['resync', { force: true }, { path: '/force', message: 'is not known here; known: nothing' }],
        ['collectGarbage', { dryRun: 'yes' }, { path: '/dryRun', message: 'must be true or false, found a string' }],
        ['verify', { deep: 1 }, { path: '/deep', message: 'must be true or false, found a number' }],
        ['deactivate', { instanceId: 7 }, { path: '/instanceId', message: 'must be a string, found a number' }],
        ['deactivate', { instanceID: 'us' }, { path: '/instanceID', message: 'is not known here; known: instanceId' }],
      ] as const) {
        const { status, payload: answer } = await call(name, payload);
        expect(status, name).to.equal(400);
        expect(answer).to.deep.equal({
          message: `the payload is refused: ${problem.path} ${problem.message}`,
          problems: [problem],
        });
      }
      expect(started.dryRuns).to.deep.equal([]);
    }),
  );

  it(
    'take an empty payload for none',
    withSite(async ({ call, started }) => {
      for (const payload of [null, {}]) {
        expect(await call('status', payload)).to.deep.equal({ status: 200, payload: { mode: 'ReadWrite' } });
        expect((await call('resync', payload)).status).to.equal(202);
        expect(await call('collectGarbage', payload)).to.deep.equal({
          status: 200,
          payload: { ...collected, dryRun: false },
        });
      }
      expect((await call('collectGarbage', { dryRun: true })).payload).to.deep.equal({ ...collected, dryRun: true });
      expect(started.dryRuns).to.deep.equal([false, false, true]);
    }),
  );

  it(
    'say why when it is not the time',
    withSite(async ({ call, started }) => {
      started.pass = false;
      started.collected = undefined;
      for (const name of ['resync', 'collectGarbage']) {
        const { status, payload } = await call(name);
        expect(status).to.equal(409);
        expect(payload).to.have.property('message').that.is.a('string');
      }
    }),
  );

  it(
    'verify: answer with what was found, or, where that takes long, with how far it is',
    withSite(async ({ call, started, clock }) => {
      expect(await call('verify')).to.deep.equal({ status: 200, payload: { ...clean } });
      const finding: Finding = { kind: 'blob', repository: repository('plant'), problem: 'gone', repaired: true };
      started.verification = Promise.resolve({ ...clean, findings: 30, first: Array<Finding>(20).fill(finding) });
      const { payload } = await call('verify', { deep: false, repair: true });
      expect(payload).to.have.property('first').that.deep.equals(Array(10).fill('blob plant: gone'));
      started.verification = undefined;
      expect(await call('verify')).to.deep.equal({ status: 202, payload: { progress } });
      started.verification = new Promise(() => undefined);
      const slow = call('verify');
      await clock.sleeping();
      await clock.advance(20_000);
      expect(await slow).to.deep.equal({ status: 202, payload: { progress } });
      expect(started.verifications).to.deep.equal([
        ...[
          { deep: true, repair: false },
          { deep: false, repair: true },
        ],
        ...[
          { deep: true, repair: false },
          { deep: true, repair: false },
        ],
      ]);
    }),
  );

  describe('deactivate', () => {
    it(
      'makes the registry inactive over a restart, until a newer document says Active itself',
      withSite(async ({ steering, call, reopen, ...test }) => {
        await steering.accept(document(4, { activation: { status: 'Active' } }));
        const answer = { status: 200, payload: { status: 'Inactive', instanceId: 'us' } };
        expect(await call('deactivate', { instanceId: 'us' })).to.deep.equal(answer);
        expect(await call('deactivate')).to.deep.equal(answer);
        expect(steering.course.activation.state).to.equal('inactive');
        await steering.accept(document(4, { activation: { status: 'Active' } }));
        expect(steering.course.activation.state, 'the same document again').to.equal('inactive');

        const restarted = await steeringOf({ ...test, store: await reopen(), reopen });
        expect(restarted.course.activation.state).to.equal('inactive');
        await restarted.accept(document(5, { mode: 'ReadOnly' }));
        expect(restarted.course.activation.state, 'Active by default only').to.equal('inactive');
        expect(restarted.course.settings.mode).to.equal('ReadOnly');
        await restarted.accept(document(6, { activation: { status: 'Active' }, bogus: true }));
        expect(restarted.course.activation.state, 'a rejected document').to.equal('inactive');
        await restarted.accept(document(7, { activation: { status: 'Active' } }));
        expect(restarted.course.activation.state).to.equal('active');
        await restarted.accept(document(8));
        expect(restarted.course.activation.state).to.equal('active');
      }),
    );

    it(
      'is refused for another instance, and where another instance holds the name',
      withSite(async ({ steering, call }) => {
        const { status, payload } = await call('deactivate', { instanceId: 'them' });
        expect([status, payload]).to.deep.equal([409, { message: 'this is instance us' }]);
        await steering.accept(document(1, {}, { activation: other }));
        expect(await call('deactivate')).to.deep.equal({
          status: 409,
          payload: { message: 'another instance is active under this name', holder: other },
        });
        expect(steering.course.activation.state).to.equal('held');
      }),
    );
  });
});
