import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { ParentError, type ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import type { ParentSettings, Settings } from '../../modules/registry/src/settings/settings.ts';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { createSyncEngine } from '../../modules/registry/src/sync/engine.ts';
import type { SyncEngine, SyncEngineOptions } from '../../modules/registry/src/sync/sync-engine.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { collectGarbage } from '../store/garbage.ts';
import { loseBlobIn } from '../store/lose-blob.ts';
import { MemoryRegistry } from './memory-registry.ts';
import { rules } from './pass-fixture.ts';

const hello = repository('plant/hello');
const [v1, v2] = [tag('v1'), tag('v2')];
const [one, two] = [sampleImage(['one']), sampleImage(['two'])];
const hourMs = 3_600_000;
const continuous = { schedule: '* * * * *', syncWindowMs: undefined, messageTtlMs: 48 * hourMs };
/** The manual clock starts at nine, inside this window. */
const nineToTen = { schedule: '0 9 * * *', syncWindowMs: hourMs, messageTtlMs: 48 * hourMs };
const everyHour = { schedule: '0 * * * *', syncWindowMs: hourMs, messageTtlMs: 48 * hourMs };
const noon = { schedule: '0 12 * * *', syncWindowMs: hourMs, messageTtlMs: 48 * hourMs };

function settings(part: Partial<Settings> = {}, parent: Partial<ParentSettings> = {}): Settings {
  return {
    mode: 'ReadWrite',
    parent: {
      gatewayEndpoint: 'parent.example',
      protocol: 'https',
      syncToken: { name: 'site', password: 'secret' },
      syncProperties: continuous,
      ...parent,
    },
    repositories: rules('plant/*'),
    clientTokens: [],
    scopeMaps: [],
    children: [],
    activation: { status: 'Active' },
    onDemand: false,
    transfer: { concurrency: 4, bytesPerSecond: 0, budgets: [] },
    removal: { freeTags: 20, maxPercent: 50 },
    storage: { quotaBytes: 0 },
    logging: { logLevel: 'Information', auditLogStatus: 'Disabled' },
    garbageCollection: { enabled: true, schedule: '0 5 * * *' },
    notificationsList: [],
    ...part,
  };
}

/** A feed in which nothing ever happens; it does not touch the clock, so that `clock.sleeping()` means the engine. */
const quietFeed: ParentRegistry['readMessages'] = async ({ waitSeconds, signal }) => {
  if (waitSeconds === undefined) return undefined;
  if (!signal.aborted) await once(signal, 'abort');
  signal.throwIfAborted();
  return undefined;
};

describe('createSyncEngine()', () => {
  let directory: string;
  let clock: ManualClock;
  let store: Store;
  let parent: MemoryRegistry;
  let connected: MemoryRegistry[];
  let engine: SyncEngine;
  let carries = true;
  let statuses: SyncStatus[];
  let watchers: (() => void)[];
  let recoveries: number;

  async function start(more: Partial<SyncEngineOptions> = {}): Promise<void> {
    store = await openStore({ directory, clock, log: new RecordingLog(), carries: () => carries });
    statuses = [];
    watchers = [];
    engine = createSyncEngine({
      store,
      clock,
      log: new RecordingLog(),
      ...more,
      random: () => 1,
      connect: () => {
        connected.push(parent);
        return parent;
      },
      onRecovered: () => void (recoveries += 1),
      onStatus: (status) => {
        statuses.push(status);
        for (const watcher of watchers) watcher();
      },
    });
  }

  async function stop(): Promise<void> {
    await engine.close();
    await store.close();
  }

  /** The first status from now on, or the present one, of which `holds` is true. */
  function when(holds: (status: SyncStatus) => boolean): Promise<SyncStatus> {
    return new Promise((resolve) => {
      const look = (): void => {
        const status = engine.status();
        if (holds(status)) resolve(status);
      };
      watchers.push(look);
      look();
    });
  }

  /** The engine rests: nothing runs and it sleeps until its next step. */
  async function resting(state: SyncStatus['state']): Promise<SyncStatus> {
    await when((now) => now.state === state && now.connectionState !== 'Syncing');
    await clock.sleeping();
    return engine.status();
  }

  /** Both blobs of the image hang after their first byte. */
  async function hanging(): Promise<void> {
    while (engine.status().bytesDone < 2) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets no more than `sizeBytes` of each blob through, and then hangs. */
  function hangAfter(sizeBytes: number): void {
    parent.content = (bytes, offset) => {
      const stream = new Readable({ read: () => undefined });
      stream.push(bytes.subarray(offset, offset + sizeBytes));
      return stream;
    };
  }

  function letThrough(): void {
    parent.content = (bytes, offset) => Readable.from([bytes.subarray(offset)]);
  }

  const offsets = (): number[] => parent.callsOf('readBlob').map((call) => Number(call.split(' ')[2]));

  beforeEach(async () => {
    directory = await temporaryDirectory();
    clock = new ManualClock();
    parent = new MemoryRegistry();
    parent.readMessages = quietFeed;
    connected = [];
    recoveries = 0;
    await pushImage(parent, hello, one, v1);
    parent.calls.length = 0;
    await start();
  });

  afterEach(async () => {
    await stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('makes the first sync at once and then one a minute, when continuous', async () => {
    engine.apply(settings(), { active: true });
    const first = await resting('Succeeded');
    expect(first).to.deep.include({ trigger: 'InitialSync', inSync: true, connectionState: 'Online', blobsDone: 2 });
    expect(first.nextSyncTime).to.deep.equal(new Date('2026-11-24T09:01:00Z'));
    expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
    await pushImage(parent, hello, two, v2);
    await clock.advance(60_000);
    await when((status) => status.trigger === 'Scheduled' && status.state === 'Succeeded');
    expect(await store.resolveTag(hello, v2)).to.equal(two.manifest.digest);
  });

  it('brings lost blobs again when asked to recover, over failures and a restart', async () => {
    engine.apply(settings(), { active: true });
    await resting('Succeeded');
    const [layer = Buffer.alloc(0)] = one.blobs;
    await stop();
    await loseBlobIn(directory, hello, digestOf(layer));
    await start();
    await collectGarbage(store);
    engine.apply(settings(), { active: true });
    await resting('Succeeded');
    await clock.advance(60_000);
    await resting('Succeeded');
    expect(await store.statBlob(hello, digestOf(layer)), 'a scheduled pass looks at what changed').to.equal(undefined);

    parent.before = (call) => {
      if (call.startsWith('readBlob')) throw new RegistryError('DENIED');
    };
    await engine.recover();
    expect(await resting('Failed')).to.include({ trigger: 'RecoveryService' });
    parent.before = () => undefined;
    await stop();
    await start();
    engine.apply(settings(), { active: true });
    await resting('Succeeded');
    expect(engine.status()).to.include({ trigger: 'RecoveryService' });
    expect(await store.statBlob(hello, digestOf(layer))).to.deep.equal({ size: layer.length });
    expect(recoveries).to.equal(1);
    await clock.advance(60_000);
    await when((status) => status.trigger === 'Scheduled');
  });

  it('reports Syncing only once the parent has answered', async () => {
    engine.apply(settings(), { active: true });
    await resting('Succeeded');
    const states = statuses.map((status) => status.connectionState);
    expect(states.filter((state, i) => state !== states[i - 1])).to.deep.equal(['Offline', 'Syncing', 'Online']);
  });

  it('has nothing to sync and is in sync, without a parent', async () => {
    engine.apply(settings({ parent: undefined }), { active: true });
    expect(engine.status()).to.deep.include({ connectionState: 'Online', state: 'Succeeded', inSync: true });
    expect(await engine.resync()).to.deep.equal({ started: false });
  });

  it('does nothing, when not active', async () => {
    engine.apply(settings(), { active: false });
    expect(await engine.resync()).to.deep.equal({ started: false });
    expect(engine.status()).to.deep.include({ connectionState: 'Offline', state: 'NotActivated', inSync: false });
    expect(connected).to.deep.equal([]);
    engine.apply(settings(), { active: true });
    await resting('Succeeded');
  });

  it('looks at the parent at once, when it is active again', async () => {
    engine.apply(settings(), { active: true });
    await resting('Succeeded');
    engine.apply(settings(), { active: false });
    await when(({ state }) => state === 'NotActivated');
    await pushImage(parent, hello, two, v2);
    engine.apply(settings(), { active: true });
    await when(({ repositories: [row] }) => row?.tagsInSync === 2);
    expect(await store.resolveTag(hello, v2)).to.equal(two.manifest.digest);
  });

  it('stops a running pass, when it is no longer active', async () => {
    hangAfter(1);
    engine.apply(settings(), { active: true });
    await hanging();
    engine.apply(settings(), { active: false });
    await when((status) => status.state === 'NotActivated' && status.lastSyncEndTime !== undefined);
    expect(await store.resolveTag(hello, v1)).to.equal(undefined);
  });

  it('tells of progress ten times a second at most', async () => {
    for (let number = 0; number < 200; number += 1) {
      await pushImage(parent, hello, sampleImage([`image ${number}`]), tag(`t${number}`));
    }
    hangAfter(1);
    engine.apply(settings(), { active: true });
    await hanging();
    const isOfProgress = ({ bytesTotal }: SyncStatus): boolean => bytesTotal > 0;
    await clock.advance(99);
    expect(statuses.filter(isOfProgress)).to.have.length(0);
    await clock.advance(1);
    expect(statuses.filter(isOfProgress)).to.have.length(1);
    await clock.advance(1000);
    expect(statuses.filter(isOfProgress), 'nothing new to tell').to.have.length(1);
  });

  it('pauses when the window closes, and goes on at the same byte in the next one', async () => {
    hangAfter(1);
    engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
    await hanging();
    await clock.advance(hourMs - 1);
    expect(engine.status()).to.deep.include({ state: 'Syncing', connectionState: 'Syncing' });
    await clock.advance(1);
    const paused = await resting('TimedOut');
    expect(paused).to.deep.include({ inSync: false, connectionState: 'Online', details: [] });
    expect(paused.nextSyncTime).to.deep.equal(new Date('2026-11-25T09:00:00Z'));

    letThrough();
    parent.calls.length = 0;
    await clock.advance(23 * hourMs - 1);
    expect(parent.calls).to.deep.equal([]);
    await clock.advance(1);
    await resting('Succeeded');
    expect(offsets()).to.deep.equal([1, 1]);
    expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
  });

  it('goes on at the same byte after a restart, at once inside the window', async () => {
    hangAfter(1);
    engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
    await hanging();
    expect(await store.records.get('sync')).to.include({ state: 'Syncing' }); // what a killed process leaves
    await stop();
    letThrough();
    parent.calls.length = 0;
    await start();
    engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
    await resting('Succeeded');
    expect(offsets()).to.deep.equal([1, 1]);
  });

  it('remembers over a restart that it has synced, and what', async () => {
    engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
    await resting('Succeeded');
    await stop();
    parent.calls.length = 0;
    await start();
    engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
    const status = await resting('Succeeded');
    expect(status.lastSuccessfulSyncEndTime).to.deep.equal(new Date('2026-11-24T09:00:00Z'));
    expect(status.inSync).to.equal(true);
    expect(parent.calls).to.deep.equal([]);
    await stop();
    await start();
    engine.apply(settings({ repositories: rules('*') }, { syncProperties: nineToTen }), { active: true });
    await when((now) => now.trigger === 'Scheduled' && now.state === 'Succeeded');
    expect(parent.callsOf('listTags')).to.deep.equal([hello]);
  });

  it('waits for its window, but not with a manual resync', async () => {
    engine.apply(settings({}, { syncProperties: noon }), { active: true });
    const waiting = await resting('Pending');
    expect(waiting.nextSyncTime).to.deep.equal(new Date('2026-11-24T12:00:00Z'));
    expect(parent.calls).to.deep.equal([]);
    expect(await engine.resync()).to.deep.equal({ started: true });
    expect(await resting('Succeeded')).to.include({ trigger: 'ManualResync', inSync: true });
  });

  it('never runs two passes at once', async () => {
    hangAfter(1);
    engine.apply(settings(), { active: true });
    await hanging();
    expect(await engine.resync()).to.deep.equal({ started: false });
    engine.wake();
    await clock.advance(10 * 60_000);
    expect(parent.callsOf('listTags')).to.deep.equal([hello]);
  });

  it('tries again after growing pauses, and recovers by itself, when the parent is away', async () => {
    parent.before = (call) => {
      if (call === 'ping') throw new ParentError('unreachable', 'no route');
    };
    engine.apply(settings(), { active: true });
    const pauses: number[] = [];
    for (let i = 0; i < 8; i++) {
      const failed = await resting('Failed');
      expect(failed.connectionState).to.equal('Offline');
      expect(failed.details.map(({ code }) => code)).to.deep.equal(['PARENT_UNREACHABLE']);
      pauses.push(failed.nextSyncTime!.getTime() - clock.now().getTime());
      await clock.advance(pauses[i]! - 1);
      expect(parent.calls).to.have.length(i + 1);
      await clock.advance(1);
    }
    expect(pauses).to.deep.equal([1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => seconds * 1000));
    parent.before = () => undefined;
    await clock.advance(30_000);
    expect(await resting('Succeeded')).to.deep.include({ connectionState: 'Online', details: [], inSync: true });
  });

  it('tries again once a minute at last, when the parent answers with nonsense', async () => {
    parent.before = (call) => {
      if (call === 'ping') throw new ParentError('broken', 'no registry');
    };
    engine.apply(settings(), { active: true });
    for (let i = 0; i < 7; i++) {
      const { nextSyncTime } = await resting('Failed');
      await clock.advance(nextSyncTime!.getTime() - clock.now().getTime());
    }
    const { nextSyncTime } = await resting('Failed');
    expect(nextSyncTime!.getTime() - clock.now().getTime()).to.equal(60_000);
  });

  it('forgets trouble with the link as soon as the parent answers, not only at the end of the pass', async () => {
    parent.before = (call) => {
      if (call === 'ping') throw new ParentError('unauthorized', 'refused');
    };
    engine.apply(settings(), { active: true });
    await resting('Failed');
    parent.before = () => undefined;
    hangAfter(1);
    await clock.advance(1000);
    await hanging();
    expect(engine.status()).to.deep.include({ connectionState: 'Syncing', details: [] });
  });

  it('obeys Retry-After, when the parent throttles', async () => {
    parent.before = (call) => {
      if (call === 'ping') throw new ParentError('throttled', 'slow down', { retryAfterSeconds: 300 });
    };
    engine.apply(settings(), { active: true });
    const failed = await resting('Failed');
    expect(failed.nextSyncTime).to.deep.equal(new Date('2026-11-24T09:05:00Z'));
    expect(failed.details.map(({ code }) => code)).to.deep.equal(['PARENT_THROTTLED']);
  });

  it('says Unhealthy, and syncs at once with a new token, when the old one is refused', async () => {
    parent.before = () => {
      throw new ParentError('unauthorized', 'the parent refused the sync token');
    };
    engine.apply(settings(), { active: true });
    expect(await resting('Failed')).to.include({ connectionState: 'Unhealthy', inSync: false });
    const old = parent;
    parent = new MemoryRegistry();
    await pushImage(parent, hello, one, v1);
    engine.apply(settings({}, { syncToken: { name: 'site', password: 'new' } }), { active: true });
    expect(await resting('Succeeded')).to.deep.include({ trigger: 'SyncTokenUpdate', details: [], inSync: true });
    expect(old.closed).to.equal(true);
    expect(connected).to.deep.equal([old, parent]);
  });

  it('starts over with the new parent, when the endpoint changes in the middle of a pass', async () => {
    hangAfter(1);
    engine.apply(settings(), { active: true });
    await hanging();
    const old = parent;
    parent = new MemoryRegistry();
    await pushImage(parent, hello, two, v1);
    engine.apply(settings({}, { gatewayEndpoint: 'other.example' }), { active: true });
    expect(await resting('Succeeded')).to.include({ trigger: 'InitialSync', parentEndpoint: 'other.example' });
    expect(old.closed).to.equal(true);
    expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
  });

  it('leaves a running pass alone, when a change has nothing to do with syncing', async () => {
    hangAfter(1);
    engine.apply(settings(), { active: true });
    await hanging();
    engine.apply(settings({ notificationsList: ['plant/*:*:push'] }), { active: true });
    expect(engine.status()).to.include({ state: 'Syncing' });
    expect(parent.calls.filter((call) => call === 'ping')).to.have.length(1);
  });

  it('carries a push up at once, and is not in sync until then', async () => {
    engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
    await resting('Succeeded');
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    parent.before = (call) => (call.startsWith('putManifest') ? gate : undefined);
    await pushImage(store.local, hello, two, v2);
    engine.wake();
    const waiting = await when((status) => status.outbox.pending === 1 && status.connectionState === 'Syncing');
    expect(waiting).to.include({ inSync: false, state: 'Succeeded' });
    release();
    expect(await when((status) => status.inSync)).to.deep.include({ outbox: { pending: 0 } });
    expect(await parent.resolveTag(hello, v2)).to.equal(two.manifest.digest);
    expect(parent.callsOf('listTags')).to.deep.equal([hello]);
  });

  it('keeps a push for the next window, when the window is shut', async () => {
    engine.apply(settings({}, { syncProperties: noon }), { active: true });
    await resting('Pending');
    await pushImage(store.local, hello, two, v2);
    engine.wake();
    await when((status) => status.outbox.pending === 1);
    expect(parent.calls).to.deep.equal([]);
    await clock.advance(3 * hourMs);
    await when((status) => status.inSync);
    expect(await parent.resolveTag(hello, v2)).to.equal(two.manifest.digest);
  });

  it('asks for referrers of everything again after six hours, and meanwhile only of what came lately', async () => {
    const { parent: none, ...rest } = settings();
    engine.apply({ ...rest, parent: { ...none!, syncProperties: everyHour } }, { active: true });
    await resting('Succeeded');
    const pass = async (): Promise<number> => {
      parent.calls.length = 0;
      await clock.advance(hourMs);
      await when(() => parent.callsOf('listTags').length > 0);
      await resting('Succeeded');
      return parent.callsOf('listReferrers').length;
    };
    const asked: number[] = [];
    for (let hour = 1; hour <= 7; hour += 1) asked.push(await pass());
    expect(asked).to.deep.equal([0, 0, 0, 0, 0, 1, 0]);
  });

  it('carries up what was pushed while it had no parent, over a restart, also to a parent it knows', async () => {
    await pushImage(parent, hello, one, v1);
    engine.apply(settings(), { active: true });
    await resting('Succeeded');
    engine.apply({ ...settings(), parent: undefined }, { active: true });
    carries = false;
    await pushImage(store.local, hello, two, v2);
    await stop();
    carries = true;
    await start();
    engine.apply(settings(), { active: true });
    await when(({ inSync }) => inSync);
    expect(await parent.resolveTag(hello, v2)).to.equal(two.manifest.digest);
  });

  describe('at a parent that has activation', () => {
    let activations: string[];
    let held: boolean;

    beforeEach(() => {
      [activations, held] = [[], false];
      parent.activate = async ({ mode, repositories }) => {
        activations.push(`${mode} ${repositories.join()}`);
        if (held) throw new ParentError('held', 'ALREADY_ACTIVATED by another instance');
        return true;
      };
    });

    it('activates before the first pass, and not again while the link holds', async () => {
      engine.apply(settings(), { active: true });
      await resting('Succeeded');
      await clock.advance(60_000);
      await when((status) => status.trigger === 'Scheduled' && status.state === 'Succeeded');
      expect(activations).to.deep.equal(['ReadWrite plant/*']);
    });

    it('activates again when it wants something else, and when the link had failed', async () => {
      engine.apply(settings(), { active: true });
      await resting('Succeeded');
      engine.apply(settings({ mode: 'ReadOnly', repositories: rules('plant/hello') }), { active: true });
      await when((status) => status.trigger === 'Scheduled' && status.state === 'Succeeded');
      expect(activations).to.deep.equal(['ReadWrite plant/*', 'ReadOnly plant/hello']);
      parent.before = () => {
        throw new ParentError('unreachable', 'no route');
      };
      await clock.advance(60_000);
      await when((status) => status.state === 'Failed');
      parent.before = () => undefined;
      await clock.advance(60_000);
      await resting('Succeeded');
      expect(activations).to.have.length(3);
    });

    it('neither syncs nor carries up while another instance has the name, and takes over once it is released', async () => {
      held = true;
      await pushImage(store.local, hello, two, v2);
      engine.apply(settings(), { active: true });
      const waiting = await resting('Failed');
      expect(waiting).to.include({ connectionState: 'Unhealthy', inSync: false });
      expect(waiting.details.map(({ code }) => code)).to.deep.equal(['ALREADY_ACTIVATED']);
      for (let tries = 2; tries <= 5; tries += 1) {
        await clock.advance(60_000);
        await resting('Failed');
        expect(activations).to.have.length(tries);
      }
      expect(new Set(parent.calls)).to.deep.equal(new Set(['ping']));

      held = false;
      await clock.advance(60_000);
      const status = await when((now) => now.inSync && now.connectionState !== 'Syncing');
      expect(status).to.deep.include({ connectionState: 'Online', details: [] });
      expect(await parent.resolveTag(hello, v2)).to.equal(two.manifest.digest);
      expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
    });

    it('tells the parent that it is inactive as soon as that can be reached, once, also after a restart', async () => {
      engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
      await resting('Succeeded');
      const inactive = settings({ activation: { status: 'Inactive' } }, { syncProperties: nineToTen });
      await clock.advance(2 * hourMs);
      parent.before = (call) => {
        if (call === 'deactivate') throw new ParentError('unreachable', 'no route');
      };
      parent.calls.length = 0;
      engine.apply(inactive, { active: false });
      await clock.sleeping();
      expect(parent.calls).to.deep.equal(['deactivate']);
      await stop();
      await start();
      engine.apply(inactive, { active: false });
      await clock.sleeping();
      parent.before = () => undefined;
      await clock.advance(60_000);
      await clock.advance(60 * 60_000);
      expect(parent.calls).to.deep.equal(['deactivate', 'deactivate', 'deactivate']);
      expect(engine.status().state).to.equal('NotActivated');
    });

    it('lets nothing go when it is only held back by its twin', async () => {
      engine.apply(settings(), { active: true });
      await resting('Succeeded');
      parent.calls.length = 0;
      engine.apply(settings(), { active: false });
      await clock.advance(10 * 60_000);
      expect(parent.calls).to.deep.equal([]);
    });
  });

  describe('when the clock is set while it waits', () => {
    const passAt = (time: string) => (status: SyncStatus) =>
      status.state === 'Succeeded' && status.lastSyncStartTime?.toISOString().slice(11, 16) === time;

    it('makes a run that was jumped over within a minute, once, where its window is open', async () => {
      engine.apply(settings({}, { syncProperties: everyHour }), { active: true });
      await resting('Succeeded');
      clock.jump(5 * hourMs + 30 * 60_000);
      parent.calls.length = 0;
      await clock.advance(60_000);
      await when(passAt('14:31'));
      expect(parent.calls.filter((call) => call === 'ping')).to.have.length(1);
      expect((await resting('Succeeded')).nextSyncTime?.toISOString()).to.equal('2026-11-24T15:00:00.000Z');
    });

    it('asks nothing where the window that was jumped over is shut, and tells the next one', async () => {
      engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
      await resting('Succeeded');
      clock.jump(3 * 24 * hourMs + 2 * hourMs);
      parent.calls.length = 0;
      await clock.advance(5 * 60_000);
      await clock.sleeping();
      expect(parent.calls).to.deep.equal([]);
      expect(engine.status().nextSyncTime?.toISOString()).to.equal('2026-11-28T09:00:00.000Z');
    });

    it('makes a pass within a minute after the clock was set back: when the last one was, nobody knows', async () => {
      engine.apply(settings({}, { syncProperties: everyHour }), { active: true });
      await resting('Succeeded');
      clock.jump(-365 * 24 * hourMs);
      await clock.advance(60_000);
      const { lastSyncStartTime } = await when(passAt('09:01'));
      expect(lastSyncStartTime?.getUTCFullYear()).to.equal(2025);
    });

    it('tries again within the pause that it had, when the clock was set back in it', async () => {
      parent.before = () => {
        throw new ParentError('unreachable', 'no route');
      };
      engine.apply(settings(), { active: true });
      await resting('Failed');
      clock.jump(-24 * hourMs);
      parent.before = () => undefined;
      await clock.advance(2000);
      await when(({ inSync }) => inSync);
    });

    it('pauses within a minute, when the end of the window was jumped over in the middle of a blob', async () => {
      await pushImage(parent, hello, two, v2);
      hangAfter(1);
      engine.apply(settings({}, { syncProperties: nineToTen }), { active: true });
      await hanging();
      clock.jump(3 * hourMs);
      await clock.advance(60_000);
      const { state } = await when((now) => now.state !== 'Syncing');
      expect(state).to.equal('TimedOut');
    });

    it('tells the parent how it is at its usual pace, when the clock was set back', async () => {
      const told: Date[] = [];
      parent.activate = async () => true;
      parent.reportStatus = async () => void told.push(clock.now());
      await stop();
      await start({ describe: () => ({ connectionState: 'Online', inSync: true, outboxPending: 0 }) });
      engine.apply(settings(), { active: true });
      await resting('Succeeded');
      clock.jump(-24 * hourMs);
      await clock.advance(60_000);
      expect(told).to.have.length(2);
    });
  });
});
