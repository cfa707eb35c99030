import { expect } from 'chai';
import { rm } from 'node:fs/promises';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import type { RepositoryName, Tag } from '../../modules/registry/src/oci/names.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import type { Settings } from '../../modules/registry/src/settings/settings.ts';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { createSyncEngine } from '../../modules/registry/src/sync/engine.ts';
import type { SyncEngine } from '../../modules/registry/src/sync/sync-engine.ts';
import { startRegistry, type RegistryServer } from '../http/registry-server.ts';
import { pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const [hello, tools] = [repository('plant/hello'), repository('plant/tools')];
const [v1, v2] = [tag('v1'), tag('v2')];
const [one, two] = [sampleImage(['one']), sampleImage(['two'])];
const [minuteMs, hourMs] = [60_000, 3_600_000];

/** The engine with its real store below a parent of our kind with its real store, over HTTP. */
describe('sync from a parent of our kind', () => {
  let server: RegistryServer;
  let directory: string;
  let clock: ManualClock;
  let store: Store;
  let engine: SyncEngine;
  let wake: () => void;

  const atParent = (): Store => server.store;

  async function start(): Promise<void> {
    const log = new RecordingLog();
    store = await openStore({ directory, clock, log, carries: () => false });
    wake = () => undefined;
    engine = createSyncEngine({
      store,
      clock,
      log,
      random: () => 1,
      connect: () =>
        connectParent({
          endpoint: server.host,
          protocol: 'http',
          credentials: { name: 'childsync', password: 'child-password' },
          self: { registryName: 'plant7line3', instanceId: 'this-instance', version: '0.1.0' },
          clock,
          log,
          patience: { attempts: 1 },
        }),
      onStatus: () => wake(),
    });
  }

  async function stop(): Promise<void> {
    await engine.close();
    await store.close();
  }

  async function openParent(): Promise<void> {
    server = await startRegistry();
    const passwords = [
      { name: 'password1', hash: await hashPassword('child-password', { ln: 10 }), expiry: undefined },
    ];
    const child = {
      ...{ name: 'plant7line3', mode: 'ReadWrite' as const, repositories: [parseRepositoryPattern('plant/*')!] },
      syncToken: { name: 'childsync', status: 'enabled' as const, passwords },
    };
    server.applyAccounts({ clientTokens: [], scopeMaps: [], children: [child] });
  }

  beforeEach(async () => {
    directory = await temporaryDirectory();
    clock = new ManualClock();
    await openParent();
    await pushImage(atParent().local, hello, one, v1);
    await start();
  });
  afterEach(async () => {
    await stop();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });

  function settings(part: object = {}): Settings {
    const parsed = parseSettings(
      {
        ...{ mode: 'ReadOnly', repositories: ['plant/*'] },
        parent: { gatewayEndpoint: server.host, protocol: 'http', syncProperties: { schedule: '* * * * *' } },
        ...part,
      },
      { variables: {} },
    );
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return parsed.settings;
  }
  /** Windows from nine, when the clock starts, to ten, from eleven to twelve, and so on. */
  const everyOther = () => ({
    parent: {
      ...{ gatewayEndpoint: server.host, protocol: 'http' },
      syncProperties: { schedule: '0 9-21/2 * * *', syncWindow: 'PT1H' },
    },
  });

  /** Looks again at each status until it is so. */
  async function when(holds: (status: SyncStatus) => boolean | Promise<boolean>): Promise<void> {
    for (;;) {
      const told = new Promise<void>((resolve) => (wake = resolve));
      if (await holds(engine.status())) return;
      await told;
    }
  }

  /** The first pass is over, and the engine listens at the parent. */
  async function inSync(part: object = {}): Promise<void> {
    engine.apply(settings(part), { active: true });
    await when(({ inSync: so, connectionState }) => so && connectionState === 'Online');
    server.samples.length = 0;
  }

  /** Lets the pauses between two looks at the feed pass, until it is so. */
  async function comes(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds())) {
      await clock.advance(250);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  const isAt =
    (name: RepositoryName, which: Tag, image: { manifest: { digest: string } } | undefined) =>
    async (): Promise<boolean> =>
      (await store.resolveTag(name, which)) === image?.manifest.digest;

  /** A schedule tick passes, and its pass. */
  async function tick(milliseconds = minuteMs): Promise<void> {
    const due = clock.now().getTime() + milliseconds;
    await clock.advance(milliseconds);
    await when(({ lastSyncEndTime, connectionState }) => {
      return (lastSyncEndTime?.getTime() ?? 0) >= due && connectionState !== 'Syncing';
    });
  }

  const asked = (): string[] => server.samples.map(({ endpoint, method }) => `${method} ${endpoint}`);

  it('asks a handful of questions for the first sync of many small images', async () => {
    const images = Array.from({ length: 40 }, (_, number) => sampleImage([`lower ${number}`, `upper ${number}`]));
    for (const [number, image] of images.entries()) {
      await pushImage(atParent().local, tools, image, tag(`v${number}`));
    }
    engine.apply(settings(), { active: true });
    await when(({ inSync: so, connectionState }) => so && connectionState === 'Online');
    for (const [number, image] of images.entries()) {
      expect(await store.resolveTag(tools, tag(`v${number}`))).to.equal(image.manifest.digest);
    }
    const asked = (endpoint: string): number => server.samples.filter((sample) => sample.endpoint === endpoint).length;
    expect([asked('end-2'), asked('end-3')]).to.deep.equal([0, 0]);
    // One for each of 160 contents, otherwise.
    expect(asked('gateway-contents')).to.be.within(2, 40);
  });

  it('costs one request when nothing is new, however much there is', async () => {
    for (let index = 0; index < 20; index += 1) {
      await pushImage(atParent().local, repository(`plant/r${index}`), two, v1);
    }
    await inSync();
    await tick();
    await tick();
    expect(asked()).to.deep.equal(['GET gateway-messages', 'GET gateway-messages']);
    expect(engine.status()).to.include({ inSync: true, trigger: 'Scheduled', state: 'Succeeded' });
    expect(engine.status().repositories).to.have.length(21);
  });

  for (const signed of [false, true]) {
    it(`asks for referrers in a full compare ${signed ? 'where there are any' : 'nowhere, when there are none'}`, async () => {
      const signature = sampleImage(['signature'], { subject: one.manifest });
      if (signed) await pushImage(atParent().local, hello, signature);
      await pushImage(atParent().local, tools, two, v1);
      await inSync();
      expect(await store.replica.hasManifest(hello, signature.manifest.digest)).to.equal(signed);
      server.samples.length = 0;
      expect(await engine.resync()).to.deep.equal({ started: true });
      await when(({ trigger, state }) => trigger === 'ManualResync' && state === 'Succeeded');
      expect(asked().filter((line) => line === 'GET acr-tags')).to.have.length(2);
      // Of the image, and of its signature.
      expect(asked().filter((line) => line === 'GET end-12')).to.have.length(signed ? 2 : 0);
    });
  }

  it('hears of a push without a tick, and looks at nothing else', async () => {
    await pushImage(atParent().local, tools, two, v1);
    await inSync();
    await pushImage(atParent().local, hello, two, v2);
    await when(isAt(hello, v2, two));
    await when(({ inSync: so }) => so);
    expect(asked()).not.to.include('GET end-8').and.not.to.include('GET acr-tags');
    expect(asked()).not.to.include('GET catalog');
    expect(clock.now()).to.deep.equal(new Date('2026-11-24T09:00:00Z'));
    const rows = engine.status().repositories.map(({ name, state, tagsInSync }) => `${name} ${state} ${tagsInSync}`);
    expect(rows.sort()).to.deep.equal(['plant/hello InSync 2', 'plant/tools InSync 1']);
  });

  /** Everything the full compare would find; each begins with hello:v1 in sync. */
  const changes: Readonly<Record<string, { make: () => Promise<unknown>; then: () => Promise<boolean> }>> = {
    'a tag that moved': {
      make: () => pushImage(atParent().local, hello, two, v1),
      then: () => isAt(hello, v1, two)(),
    },
    'a new tag of a known image': {
      make: () => atParent().local.putManifest(hello, one.manifest, { tag: v2 }),
      then: () => isAt(hello, v2, one)(),
    },
    'a new repository': {
      make: () => pushImage(atParent().local, tools, two, v1),
      then: () => isAt(tools, v1, two)(),
    },
    'an untag': {
      make: () => atParent().local.deleteTag(hello, v1),
      then: () => isAt(hello, v1, undefined)(),
    },
    'a delete, which takes tags along': {
      make: () => atParent().local.deleteManifest(hello, one.manifest.digest),
      then: () => isAt(hello, v1, undefined)(),
    },
    'the removal of a repository': {
      make: () => atParent().local.deleteRepository(hello),
      then: () => isAt(hello, v1, undefined)(),
    },
    'a referrer that came later': {
      make: () => pushImage(atParent().local, hello, signature),
      then: () => store.replica.hasManifest(hello, signature.manifest.digest),
    },
    'a referrer of a referrer': {
      make: async () => {
        await pushImage(atParent().local, hello, signature);
        await pushImage(atParent().local, hello, countersignature);
      },
      then: () => store.replica.hasManifest(hello, countersignature.manifest.digest),
    },
    'an index of two platforms': {
      make: () => pushImage(atParent().local, hello, index, v2),
      then: () => isAt(hello, v2, index)(),
    },
  };
  const signature = sampleImage(['signature'], { subject: one.manifest, artifactType: 'application/vnd.example.s' });
  const countersignature = sampleImage(['counter'], {
    subject: signature.manifest,
    artifactType: 'application/vnd.example.s',
  });
  const index = sampleIndex([
    [{ os: 'linux', architecture: 'amd64' }, sampleImage(['amd'])],
    [{ os: 'linux', architecture: 'arm64' }, sampleImage(['arm'])],
  ]);

  for (const [what, { make, then }] of Object.entries(changes)) {
    it(`follows ${what}, by message alone`, async () => {
      await inSync();
      expect(await then()).to.equal(false);
      await make();
      await comes(then);
      expect(asked()).not.to.include('GET acr-tags');
    });
  }

  it('takes a referrer out that was deleted at the parent', async () => {
    await pushImage(atParent().local, hello, signature);
    await inSync();
    expect(await store.replica.hasManifest(hello, signature.manifest.digest)).to.equal(true);
    await atParent().local.deleteManifest(hello, signature.manifest.digest);
    await when(async () => !(await store.replica.hasManifest(hello, signature.manifest.digest)));
    expect(await isAt(hello, v1, one)()).to.equal(true);
  });

  it('leaves out what its rules leave out', async () => {
    await inSync({ repositories: [{ name: 'plant/hello', tags: ['v1'], platforms: ['linux/amd64'] }] });
    await pushImage(atParent().local, hello, two, v2);
    await pushImage(atParent().local, tools, two, v1);
    await pushImage(atParent().local, hello, index, v1);
    await comes(isAt(hello, v1, index));
    expect(await store.resolveTag(hello, v2)).to.equal(undefined);
    expect(await store.resolveTag(tools, v1)).to.equal(undefined);
    const [amd, arm] = index.children.map(({ manifest: { digest } }) => store.replica.hasManifest(hello, digest));
    expect([await amd, await arm]).to.deep.equal([true, false]);
  });

  it('looks at a repository again that failed, until it does not', async () => {
    await inSync();
    await pushImage(atParent().local, hello, two, v2);
    // A client of the parent locks it before the child comes.
    await atParent().locks.change(hello, undefined, { readEnabled: false });
    await when(({ state }) => state === 'Failed');
    expect(engine.status().details.map(({ code }) => code)).to.deep.equal(['PARENT_DENIED']);
    await atParent().locks.change(hello, undefined, { readEnabled: true });
    await clock.advance(minuteMs);
    await when(isAt(hello, v2, two));
    await when(({ inSync: so, details }) => so && details.length === 0);
  });

  it('goes on from its cursor after a restart, at once', async () => {
    await inSync();
    await stop();
    await pushImage(atParent().local, hello, two, v2);
    await start();
    server.samples.length = 0;
    engine.apply(settings(), { active: true });
    await when(isAt(hello, v2, two));
    await when(({ inSync: so, trigger }) => so && trigger === 'Scheduled');
    expect(asked()).not.to.include('GET acr-tags');
    expect(engine.status().repositories.map(({ tagsInSync }) => tagsInSync)).to.deep.equal([2]);
  });

  it('reads in its window what happened since the last one, and holds no line open outside', async () => {
    await inSync(everyOther());
    const brokenOff = server.sampled(({ endpoint }) => endpoint === 'gateway-messages');
    await clock.advance(hourMs);
    await brokenOff;
    server.samples.length = 0;
    await pushImage(atParent().local, hello, two, v2);
    await clock.advance(hourMs - 1);
    expect(asked()).to.deep.equal([]);
    await tick(1);
    expect(await isAt(hello, v2, two)()).to.equal(true);
    expect(asked()).to.include('GET gateway-messages').and.not.include('GET acr-tags');
  });

  it('compares everything, and says RecoveryService, when its cursor is older than the parent keeps', async () => {
    await inSync(everyOther());
    await clock.advance(hourMs);
    await pushImage(atParent().local, hello, two, v2);
    await server.clock.advance(1000);
    await atParent().journal.expire(server.clock.now());
    await tick(hourMs);
    expect(engine.status()).to.include({ trigger: 'RecoveryService', state: 'Succeeded', inSync: true });
    expect(await isAt(hello, v2, two)()).to.equal(true);
    await tick(2 * hourMs);
    expect(engine.status()).to.include({ trigger: 'Scheduled' });
  });

  it('knows a parent that was rebuilt, and compares everything', async () => {
    await inSync(everyOther());
    const { port } = server;
    await server.close();
    server = await startRegistry();
    expect(server.port).not.to.equal(port);
    await server.close();
    await openParent();
    await pushImage(atParent().local, hello, two, v1);
    engine.apply(settings(everyOther()), { active: true });
    await when(isAt(hello, v1, two));
  });

  for (const [what, go] of Object.entries({
    'a manual resync': (): Promise<unknown> => engine.resync(),
    'other rules': async () => engine.apply(settings({ repositories: ['plant/hello'] }), { active: true }),
    'a week': () => tick(7 * 24 * hourMs),
  })) {
    it(`compares everything after ${what}`, async () => {
      await inSync();
      await go();
      await when(() => asked().includes('GET acr-tags'));
      await when(({ inSync: so }) => so);
    });
  }

  it('still compares everything when the link broke in a manual resync', async () => {
    await inSync();
    server.state = { ...server.state, refusal: 'INACTIVE' };
    await engine.resync();
    await when(({ state }) => state === 'Failed');
    server.state = { mode: 'ReadWrite', quotaBytes: 0, auditLog: false };
    await clock.advance(minuteMs);
    await when(({ inSync: so }) => so);
    expect(asked()).to.include('GET acr-tags');
  });

  it('holds a mass removal told message by message, over a restart, until it is confirmed', async () => {
    const many = Array.from({ length: 9 }, (_, index) => tag(`w${index}`));
    for (const name of many) await pushImage(atParent().local, hello, one, name);
    const guarded = { removal: { freeTags: 0, maxPercent: 50 } };
    const isHeld = ({ details, state }: SyncStatus): boolean =>
      state === 'Succeeded' && details.some(({ code }) => code === 'REMOVAL_HELD');
    await inSync(guarded);
    await atParent().local.deleteTag(hello, v1);
    await comes(isAt(hello, v1, undefined));
    for (const name of many.slice(0, 8)) await atParent().local.deleteTag(hello, name);
    await pushImage(atParent().local, tools, two, v1);
    await comes(async () => isHeld(engine.status()));
    await comes(isAt(tools, v1, two));
    expect(engine.status().inSync).to.equal(false);
    expect((await store.describeRepository(hello))?.tags).to.be.greaterThan(4);
    expect(asked(), 'a whole compare').not.to.include('GET acr-tags');

    await stop();
    await start();
    engine.apply(settings(guarded), { active: true });
    await when(isHeld);
    expect((await store.describeRepository(hello))?.tags).to.be.greaterThan(4);
    // Not while a pass runs, which the feed begins when it will.
    await when(async () => (await engine.resync({ confirmRemoval: true })).started);
    await when(({ inSync: so }) => so);
    expect((await store.describeRepository(hello))?.tags).to.equal(1);
    expect(engine.status().details).to.deep.equal([]);
  });

  it('stops when an operator at the parent releases its name, and comes back when nobody takes it', async () => {
    await inSync();
    await server.ask('DELETE', '/acr/gateway/plant7line3/activation');
    await tick();
    expect(engine.status().details.map(({ code }) => code)).to.deep.equal(['ALREADY_ACTIVATED']);
    await server.clock.advance(5 * minuteMs);
    await clock.advance(minuteMs);
    await when(({ inSync: so }) => so);
    expect(server.gateway.holder('plant7line3')?.instanceId).to.equal('this-instance');
  });
});
