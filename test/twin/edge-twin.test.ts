import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import type { LogFields } from '../../modules/registry/src/status/log.ts';
import { createEdgeTwin, type EdgeTwinOptions } from '../../modules/registry/src/twin/edge-twin.ts';
import { TwinError } from '../../modules/registry/src/twin/twin-error.ts';
import type { Twin, TwinDocument } from '../../modules/registry/src/twin/twin.ts';
import { startEdgeSite, type EdgeSite } from '../helpers/edge-site.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';

/** A log whose lines can be awaited. */
class ToldLog extends RecordingLog {
  readonly #news = new EventEmitter();

  override warn(message: string, fields?: LogFields): void {
    super.warn(message, fields);
    this.#news.emit('line');
  }

  override debug(message: string, fields?: LogFields): void {
    super.debug(message, fields);
    this.#news.emit('line');
  }

  /** Milliseconds of each pause between connections so far. */
  get pauses(): number[] {
    return this.lines.map(({ fields }) => fields?.['pauseMs']).filter((pauseMs) => typeof pauseMs === 'number');
  }

  async until(condition: (log: this) => boolean): Promise<void> {
    const limit = AbortSignal.timeout(10_000);
    while (!condition(this)) await once(this.#news, 'line', { signal: limit });
  }

  paused(count: number): Promise<void> {
    return this.until((log) => log.pauses.length >= count);
  }
}

/** A twin whose only waits on the clock that end are the pauses between connections. */
const patient = { openMs: 1e9, answerMs: 1e9, closeMs: 1e9 };
const longestPauseMs = 75_000;

/** One registry module on one site, with the real SDK, and short limits. */
class Bench {
  readonly site: EdgeSite;
  readonly log = new ToldLog();
  readonly documents: TwinDocument[] = [];
  readonly #heard = new EventEmitter();
  readonly #twins: Twin[] = [];

  constructor(site: EdgeSite) {
    this.site = site;
  }

  static async open(options: Partial<Parameters<typeof startEdgeSite>[0]> = {}): Promise<Bench> {
    return new Bench(await startEdgeSite({ modules: ['registry'], ...options }));
  }

  get hub(): EdgeSite['hub'] {
    return this.site.hub;
  }

  twin(options: Partial<EdgeTwinOptions> = {}): Twin {
    const twin = createEdgeTwin({
      variables: this.site.variables('registry'),
      clock: systemClock,
      log: this.log,
      backOff: { firstMs: 20, longestMs: 100 },
      ...options,
      timeouts: { openMs: 2_000, answerMs: 300, closeMs: 300, ...options.timeouts },
    });
    twin.onDesired((document) => {
      this.documents.push(document);
      this.#heard.emit('document');
    });
    this.#twins.push(twin);
    return twin;
  }

  /** A started twin, once the first document is there. */
  async connected(options: Partial<EdgeTwinOptions> = {}): Promise<Twin> {
    const twin = this.twin(options);
    twin.start();
    await this.heard(1);
    return twin;
  }

  /** The newest document, once there are this many. */
  async heard(count: number): Promise<TwinDocument> {
    const limit = AbortSignal.timeout(10_000);
    while (this.documents.length < count) await once(this.#heard, 'document', { signal: limit });
    return this.documents.at(-1)!;
  }

  /** Lets each pause pass, once it has begun, until `done`. */
  async skipPausesUntil(clock: ManualClock, done: () => boolean): Promise<void> {
    for (let count = 1; !done(); count++) {
      await this.log.paused(count);
      await clock.advance(longestPauseMs);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#twins.map((twin) => twin.close()));
    await this.site.close();
  }
}

async function withBench(
  body: (bench: Bench) => Promise<void>,
  options?: Parameters<typeof Bench.open>[0],
): Promise<void> {
  const bench = await Bench.open(options);
  try {
    await body(bench);
  } finally {
    await bench.close();
  }
}

async function failureOf(work: Promise<unknown>): Promise<TwinError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(TwinError);
  return error as TwinError;
}

describe('createEdgeTwin()', () => {
  it('throws without the variables IoT Edge sets, naming the missing one', () => {
    const options = { clock: systemClock, log: new RecordingLog() };
    const variables = { IOTEDGE_AUTHSCHEME: 'sasToken', IOTEDGE_WORKLOADURI: 'unix:///x' };
    expect(() => createEdgeTwin({ ...options, variables })).to.throw('IOTEDGE_IOTHUBHOSTNAME');
  });

  it('hands over both sections, versions apart', () =>
    withBench(async (bench) => {
      bench.hub.patchDesired('registry', { mode: 'ReadOnly' });
      bench.hub.twin('registry').reported = { activation: { instanceId: 'a' } };
      await bench.connected();
      expect(bench.documents).to.deep.equal([
        { version: 2, desired: { mode: 'ReadOnly' }, reported: { activation: { instanceId: 'a' } } },
      ]);
      expect(bench.hub.connects[0]).to.include({ clean: false, keepaliveSeconds: 60 });
    }));

  it('works over an http workload API', () =>
    withBench(
      async (bench) => {
        await bench.connected();
        expect(bench.site.workload.uri).to.match(/^http:/);
      },
      { workload: 'http' },
    ));

  it('works with a connection string and no workload API', () =>
    withBench(async (bench) => {
      await withTemporaryDirectory(async (directory) => {
        const caFile = join(directory, 'ca.pem');
        await writeFile(caFile, bench.site.trustBundle);
        await bench.connected({ variables: bench.site.connectionVariables('registry', caFile) });
        expect(bench.site.workload.requests).to.deep.equal([]);
      });
    }));

  it('sends output messages as JSON', () =>
    withBench(async (bench) => {
      const twin = await bench.connected();
      await twin.send('registryEvents', { action: 'push' });
      const [event] = bench.hub.events;
      expect(event).to.deep.include({ output: 'registryEvents', body: '{"action":"push"}' });
      expect(event?.properties).to.include({ '$.ct': 'application/json', '$.ce': 'utf-8' });
    }));

  it('rejects with OFFLINE before the first connection', () =>
    withBench(async (bench) => {
      const twin = bench.twin();
      expect((await failureOf(twin.report({ a: 1 }))).code).to.equal('OFFLINE');
      expect((await failureOf(twin.send('out', 1))).code).to.equal('OFFLINE');
    }));

  it('lets a listener report at once', () =>
    withBench(async (bench) => {
      const twin = bench.twin();
      const reported = new Promise<void>((resolve, reject) => {
        twin.onDesired(() => void twin.report({ seen: true }).then(resolve, reject));
      });
      twin.start();
      await reported;
      expect(bench.hub.twin('registry').reported).to.deep.equal({ seen: true });
    }));

  it('hands over nothing while edgeHub has never had the twin from the cloud, and reads again until it has', () =>
    withBench(async (bench) => {
      bench.hub.twin('registry').synced = false;
      const twin = bench.twin({ rereadMs: { unsynced: 20 } });
      twin.start();
      let reads = 0;
      bench.hub.on('twinRequest', () => reads++);
      await bench.hub.waitFor(() => reads >= 4);
      expect(bench.documents).to.deep.equal([]);
      bench.hub.twin('registry').synced = true;
      await bench.heard(1);
    }));

  it('close() ends while the hub takes connections but says nothing', () =>
    withBench(async (bench) => {
      bench.hub.mute = true;
      const twin = bench.twin({ timeouts: { openMs: 60_000 } });
      const socket = once(bench.hub, 'socket');
      twin.start();
      await socket;
      await twin.close();
    }));
});

describe('createEdgeTwin() and the defects of the SDK', () => {
  it('1: a first connection that fails is tried again', () =>
    withBench(async (bench) => {
      await bench.hub.stopListening();
      bench.twin().start();
      await bench.log.paused(1);
      await bench.hub.listen();
      await bench.heard(1);
    }));

  it('1: a refused first connection is tried again', () =>
    withBench(async (bench) => {
      bench.hub.refuseConnects = true;
      bench.twin().start();
      await bench.hub.waitFor((hub) => hub.connects.length >= 2);
      bench.hub.refuseConnects = false;
      await bench.heard(1);
    }));

  it('1: a workload API that is not there yet is waited for', () =>
    withBench(async (bench) => {
      await bench.site.workload.stop();
      const clock = new ManualClock();
      bench.twin({ clock, timeouts: patient }).start();
      await bench.log.paused(1);
      await bench.site.workload.start();
      await clock.advance(longestPauseMs);
      await bench.heard(1);
    }));

  it('1: a token that comes after its time limit opens no second connection', () =>
    withBench(async (bench) => {
      let release: (fault: undefined) => void = () => undefined;
      const held = new Promise<undefined>((resolve) => (release = resolve));
      let signs = 0;
      bench.site.workload.fault = ({ url }) => (url.includes('/sign') && signs++ === 0 ? held : undefined);
      await bench.connected({ timeouts: { openMs: 100 }, rereadMs: { synced: 20 } });
      const answered = once(bench.site.workload, 'request');
      release(undefined);
      await answered;
      let reads = 0;
      bench.hub.on('twinRequest', () => reads++);
      await bench.hub.waitFor(() => reads >= 10);
      expect(bench.hub.connects).to.have.length(1);
    }));

  it('2: twin topics are subscribed again after a reconnect to a hub that lost its sessions', () =>
    withBench(async (bench) => {
      await bench.connected();
      bench.hub.forgetSessions();
      bench.hub.dropConnections();
      await bench.heard(2);
      expect(bench.hub.patchDesired('registry', { mode: 'ReadOnly' })).to.equal(true);
      expect((await bench.heard(3)).desired).to.deep.equal({ mode: 'ReadOnly' });
    }));

  it('2: a session lost during a silent token renewal is noticed, and made anew', () =>
    withBench(async (bench) => {
      await bench.connected({ timeouts: { tokenValidMs: 3_000, tokenMarginMs: 2_000 } });
      bench.hub.once('disconnected', () => bench.hub.forgetSessions());
      await bench.heard(2);
      expect(bench.hub.patchDesired('registry', { a: 1 })).to.equal(true);
      expect((await bench.heard(3)).desired).to.deep.equal({ a: 1 });
    }));

  it('3: a twin read without an answer ends the connection and is tried on a new one', () =>
    withBench(async (bench) => {
      bench.hub.twinFault = () => 'silent';
      bench.twin().start();
      await bench.hub.waitFor((hub) => hub.connects.length >= 2);
      bench.hub.twinFault = () => undefined;
      await bench.heard(1);
    }));

  it('3: a report without an answer rejects with TIMEOUT and the connection is replaced', () =>
    withBench(async (bench) => {
      const twin = await bench.connected();
      bench.hub.twinFault = (operation) => (operation === 'PATCH' ? 'silent' : undefined);
      expect((await failureOf(twin.report({ a: 1 }))).code).to.equal('TIMEOUT');
      await bench.heard(2);
    }));

  it('4: a report that edgeHub refuses with an empty body rejects with its status', () =>
    withBench(async (bench) => {
      const twin = await bench.connected();
      expect(await failureOf(twin.report({ 'not.allowed': 1 }))).to.include({ code: 'REFUSED', status: 400 });
      await twin.report({ allowed: 1 });
      expect(bench.hub.twin('registry').reported).to.deep.equal({ allowed: 1 });
      expect(bench.hub.connects).to.have.length(1);
    }));

  it('4: a report that is throttled with a body rejects with its status', () =>
    withBench(async (bench) => {
      const twin = await bench.connected();
      bench.hub.twinFault = () => ({ status: 429, body: '{"errorCode":429001,"message":"throttled"}' });
      expect(await failureOf(twin.report({ a: 1 }))).to.include({ code: 'REFUSED', status: 429 });
    }));

  for (const fault of [{ status: 500 }, { status: 400 }, { status: 200 }, { status: 200, body: 'null' }]) {
    it(`5: a twin read answered ${fault.status} with ${fault.body ?? 'an empty body'} is survived`, () =>
      withBench(async (bench) => {
        bench.hub.twinFault = () => fault;
        const request = once(bench.hub, 'twinRequest');
        bench.twin({ rereadMs: { unsynced: 20 } }).start();
        await request;
        bench.hub.twinFault = () => undefined;
        await bench.heard(1);
      }));
  }

  it('5: a desired patch that is not JSON is survived, and what it meant is read', () =>
    withBench(async (bench) => {
      await bench.connected();
      const twin = bench.hub.twin('registry');
      Object.assign(twin, { desired: { a: 1 }, desiredVersion: 2 });
      bench.hub.sendDesiredPatch('registry', '{"a":', 2);
      expect(await bench.heard(2)).to.deep.include({ version: 2, desired: { a: 1 } });
      expect(bench.hub.connects).to.have.length(1);
    }));

  it('6: a report resolves once the hub has it', () =>
    withBench(async (bench) => {
      const twin = await bench.connected();
      await twin.report({ state: { phase: 'Online' }, list: [1, { a: 2 }] });
      await twin.report({ state: { phase: null, since: 'now' } });
      expect(bench.hub.twin('registry').reported).to.deep.equal({ state: { since: 'now' }, list: [1, { a: 2 }] });
    }));

  it('7: arrays are replaced whole, nulls delete', () =>
    withBench(async (bench) => {
      bench.hub.patchDesired('registry', { repositories: ['a', 'b', 'c'], mode: 'ReadOnly', o: { x: 1 } });
      await bench.connected();
      bench.hub.patchDesired('registry', { repositories: ['z'], mode: null, o: 'text' });
      expect((await bench.heard(2)).desired).to.deep.equal({ repositories: ['z'], o: 'text' });
    }));

  it('7: a replaced desired section arrives without what was removed', () =>
    withBench(async (bench) => {
      bench.hub.patchDesired('registry', { mode: 'ReadOnly', parent: { gatewayEndpoint: 'a', protocol: 'http' } });
      await bench.connected();
      bench.hub.replaceDesired('registry', { parent: { gatewayEndpoint: 'b' } });
      expect((await bench.heard(2)).desired).to.deep.equal({ parent: { gatewayEndpoint: 'b' } });
    }));

  it('8: each change is told once, with the whole document', () =>
    withBench(async (bench) => {
      bench.hub.patchDesired('registry', { a: 1 });
      const twin = await bench.connected({ rereadMs: { synced: 20 } });
      bench.hub.patchDesired('registry', { b: 2 });
      await bench.heard(2);
      let reads = 0;
      bench.hub.on('twinRequest', () => reads++);
      await bench.hub.waitFor(() => reads >= 3);
      await twin.report({ c: 3 });
      expect(bench.documents.map(({ version, desired }) => ({ version, desired }))).to.deep.equal([
        { version: 2, desired: { a: 1 } },
        { version: 3, desired: { a: 1, b: 2 } },
      ]);
    }));

  it('8: a patch after a report carries what was reported', () =>
    withBench(async (bench) => {
      const twin = await bench.connected();
      await twin.report({ phase: 'Online' });
      bench.hub.patchDesired('registry', { a: 1 });
      expect((await bench.heard(2)).reported).to.deep.equal({ phase: 'Online' });
    }));

  it('9: a patch that was missed while disconnected is read after the reconnect', () =>
    withBench(async (bench) => {
      await bench.connected();
      await bench.hub.stopListening();
      expect(bench.hub.patchDesired('registry', { mode: 'ReadOnly' })).to.equal(false);
      await bench.hub.listen();
      expect(await bench.heard(2)).to.deep.include({ version: 2, desired: { mode: 'ReadOnly' } });
    }));

  it('9: a gap between patch versions makes the whole twin be read', () =>
    withBench(async (bench) => {
      await bench.connected();
      Object.assign(bench.hub.twin('registry'), { desired: { missed: 1, seen: 2 }, desiredVersion: 3 });
      bench.hub.sendDesiredPatch('registry', { seen: 2, $version: 3 }, 3);
      expect(await bench.heard(2)).to.deep.include({ version: 3, desired: { missed: 1, seen: 2 } });
    }));

  it('9: what no patch ever told is found by the periodic read', () =>
    withBench(async (bench) => {
      await bench.connected({ rereadMs: { synced: 50 } });
      Object.assign(bench.hub.twin('registry'), { desired: { missed: 1 }, desiredVersion: 2 });
      expect(await bench.heard(2)).to.deep.include({ version: 2, desired: { missed: 1 } });
    }));

  it('10: a dropped connection is replaced though nobody asks for anything', () =>
    withBench(async (bench) => {
      await bench.connected();
      bench.hub.dropConnections();
      await bench.hub.waitFor((hub) => hub.connects.length === 2);
      await bench.heard(2);
    }));

  it('11: a hub that was away for longer than the four minutes of the SDK is found again', () =>
    withBench(async (bench) => {
      const clock = new ManualClock();
      await bench.connected({ clock, backOff: { firstMs: 1_000, longestMs: 60_000 }, timeouts: patient });
      await bench.hub.stopListening();
      const back = clock.now().getTime() + 5 * 60_000;
      await bench.skipPausesUntil(clock, () => clock.now().getTime() > back);
      await bench.log.paused(bench.log.pauses.length + 1);
      expect(bench.documents).to.have.length(1);
      await bench.hub.listen();
      await clock.advance(longestPauseMs);
      await bench.heard(2);
    }));

  it('12: a token that cannot be renewed is survived, and renewed once the workload API is back', () =>
    withBench(async (bench) => {
      const clock = new ManualClock();
      const timeouts = { ...patient, tokenValidMs: 60_000, tokenMarginMs: 59_500 };
      const twin = await bench.connected({ clock, timeouts });
      await bench.site.workload.stop();
      await bench.log.until(({ lines }) => lines.some(({ message }) => message.startsWith('access token not renewed')));
      await twin.report({ still: 'here' });
      await clock.advance(10_000);
      await bench.log.until(({ lines }) => lines.some(({ message }) => message.includes('still not renewed')));
      await bench.site.workload.start();
      await clock.advance(longestPauseMs);
      await bench.log.paused(1);
      await clock.advance(longestPauseMs);
      await bench.heard(2);
      expect(bench.hub.connects).to.have.length(2);
    }));

  it('12: a connection whose token ran out is replaced', () =>
    withBench(async (bench) => {
      await bench.connected({ timeouts: { tokenValidMs: 2_000, tokenMarginMs: 1_500 } });
      bench.site.workload.fault = () => 500;
      await once(bench.hub, 'disconnected');
      bench.site.workload.fault = () => undefined;
      await bench.heard(2);
    }));

  it('12: a token is renewed on a connection that stays up', () =>
    withBench(async (bench) => {
      const twin = await bench.connected({ timeouts: { tokenValidMs: 3_000, tokenMarginMs: 2_000 } });
      await bench.hub.waitFor((hub) => hub.connects.length === 2 && hub.isOnline('registry'));
      expect(bench.hub.patchDesired('registry', { a: 1 })).to.equal(true);
      await bench.heard(2);
      await twin.report({ b: 2 });
    }));

  it('13: methods answer, without a payload too', () =>
    withBench(async (bench) => {
      const twin = bench.twin();
      twin.onMethod('resync', (payload) => Promise.resolve({ status: 202, payload: { got: payload } }));
      twin.start();
      await listening(bench);
      expect(await bench.hub.invokeMethod('registry', 'resync', { now: 1 })).to.deep.equal({
        status: 202,
        payload: { got: { now: 1 } },
      });
      expect(await bench.hub.invokeMethod('registry', 'resync')).to.deep.equal({ status: 202, payload: { got: null } });
    }));

  it('13: a method that throws or rejects is answered 500', () =>
    withBench(async (bench) => {
      const twin = bench.twin();
      twin.onMethod('throws', () => {
        throw new Error('sync');
      });
      twin.onMethod('rejects', () => Promise.reject(new Error('async')));
      twin.start();
      await listening(bench);
      expect((await bench.hub.invokeMethod('registry', 'throws', {})).status).to.equal(500);
      expect((await bench.hub.invokeMethod('registry', 'rejects', {})).status).to.equal(500);
    }));

  it('13: a method nobody knows is answered 404', () =>
    withBench(async (bench) => {
      const twin = bench.twin();
      twin.onMethod('known', () => Promise.resolve({ status: 200, payload: null }));
      twin.start();
      await listening(bench);
      expect((await bench.hub.invokeMethod('registry', 'unknown', {})).status).to.equal(404);
    }));

  it('13: a method can be replaced, and is there again on the next connection', () =>
    withBench(async (bench) => {
      const twin = await bench.connected();
      twin.onMethod('status', () => Promise.resolve({ status: 200, payload: 1 }));
      twin.onMethod('status', () => Promise.resolve({ status: 200, payload: 2 }));
      await listening(bench);
      expect((await bench.hub.invokeMethod('registry', 'status')).payload).to.equal(2);
      bench.hub.forgetSessions();
      const again = listening(bench);
      bench.hub.dropConnections();
      await again;
      expect((await bench.hub.invokeMethod('registry', 'status')).payload).to.equal(2);
    }));

  it('14: two modules with one identity throw each other out ever more slowly', () =>
    withBench(async (bench) => {
      const clock = new ManualClock();
      const options = { clock, backOff: { firstMs: 1_000, longestMs: 600_000 }, timeouts: patient };
      await bench.connected(options);
      bench.twin(options).start();
      await bench.skipPausesUntil(clock, () => bench.log.pauses.length >= 5);
      const { pauses } = bench.log;
      expect(Math.max(...pauses)).to.be.greaterThan(2 * Math.min(...pauses));
    }));
});

/** Resolves once the module can hear methods. */
async function listening(bench: Bench): Promise<void> {
  for (;;) {
    const [, topic] = (await once(bench.hub, 'subscribed', { signal: AbortSignal.timeout(10_000) })) as string[];
    if (topic === '$iothub/methods/POST/#') return;
  }
}
