import { expect } from 'chai';
import { applyMergePatch } from '../../modules/registry/src/twin/merge-patch.ts';
import { createReporter, type Reporter } from '../../modules/registry/src/twin/reporter.ts';
import { TwinError } from '../../modules/registry/src/twin/twin-error.ts';
import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import { reportedRefusal } from '../helpers/edgehub-rules.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

/** A hub that keeps what it is told, or fails as long as it is told to. */
class Hub {
  readonly clock = new ManualClock();
  readonly log = new RecordingLog();
  readonly patches: JsonObject[] = [];
  held: JsonObject = {};
  online = true;
  /** A report goes no further while this is pending. */
  gate: Promise<void> = Promise.resolve();
  readonly reporter: Reporter = createReporter({
    twin: { report: (patch) => this.#take(patch) },
    clock: this.clock,
    log: this.log,
    intervalMs: 5_000,
    backOff: { firstMs: 10_000, longestMs: 60_000 },
  });

  async #take(patch: JsonObject): Promise<void> {
    await this.gate;
    if (!this.online) throw new TwinError('OFFLINE', 'offline');
    this.patches.push(patch);
    this.held = applyMergePatch(this.held, patch);
  }
}

/** Everything that can happen without the clock has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('createReporter()', () => {
  let hub: Hub;
  beforeEach(() => (hub = new Hub()));
  afterEach(() => hub.reporter.close());

  it('sends the first change at once, the next ones together after the interval', async () => {
    hub.reporter.set({ state: 'Online', n: 1 });
    await settled();
    expect(hub.patches).to.deep.equal([{ state: 'Online', n: 1 }]);
    hub.reporter.set({ state: 'Online', n: 2 });
    hub.reporter.set({ state: 'Syncing', n: 3 });
    await hub.clock.advance(4_999);
    expect(hub.patches).to.have.length(1);
    await hub.clock.advance(1);
    expect(hub.patches[1]).to.deep.equal({ state: 'Syncing', n: 3 });
  });

  it('sends the next change after the interval, when the clock was set back meanwhile', async () => {
    hub.reporter.set({ n: 1 });
    await settled();
    hub.clock.jump(-86_400_000);
    hub.reporter.set({ n: 2 });
    await settled();
    await hub.clock.advance(5_000);
    expect(hub.patches).to.deep.equal([{ n: 1 }, { n: 2 }]);
  });

  it('sends nothing when nothing changed, or changed back within the interval', async () => {
    hub.reporter.set({ a: 1 });
    await settled();
    hub.reporter.set({ a: 2 });
    hub.reporter.set({ a: 1 });
    await hub.clock.advance(60_000);
    hub.reporter.set({ a: 1 });
    await settled();
    expect(hub.patches).to.have.length(1);
  });

  it('removes what is gone, replaces lists whole', async () => {
    hub.reporter.set({ inner: { a: 1, b: 2 }, list: [1, 2, 3] });
    await settled();
    hub.reporter.set({ inner: { b: 2 }, list: [1] });
    await hub.clock.advance(5_000);
    expect(hub.patches[1]).to.deep.equal({ inner: { a: null }, list: [1] });
  });

  it('tries again with growing pauses after a failure, with the newest document', async () => {
    hub.online = false;
    hub.reporter.set({ a: 1 });
    await settled();
    expect(hub.clock.nextWait).to.be.within(5_000, 10_000);
    await hub.clock.advance(hub.clock.nextWait ?? 0);
    expect(hub.clock.nextWait).to.be.within(10_000, 20_000);
    hub.reporter.set({ a: 2 });
    hub.online = true;
    await hub.clock.advance(20_000);
    expect(hub.patches).to.deep.equal([{ a: 2 }]);
  });

  it('sends only the difference to what the hub holds after rebase(), without waiting out a failure', async () => {
    hub.online = false;
    hub.reporter.set({ a: 1, b: 2 });
    await settled();
    await hub.clock.advance(5_000);
    hub.online = true;
    hub.held = { a: 1, old: true };
    hub.reporter.rebase(hub.held);
    await settled();
    expect(hub.patches).to.deep.equal([{ old: null, b: 2 }]);
    expect(hub.held).to.deep.equal({ a: 1, b: 2 });
  });

  it('sends nothing after rebase() to what is wanted, and nothing before the first set()', async () => {
    hub.reporter.rebase({ a: 1 });
    await settled();
    hub.reporter.set({ a: 1 });
    await hub.clock.advance(60_000);
    expect(hub.patches).to.deep.equal([]);
  });

  it('loses no change made while a patch is under way', async () => {
    let open: () => void = () => undefined;
    hub.gate = new Promise((resolve) => (open = resolve));
    hub.reporter.set({ a: 1 });
    await settled();
    hub.reporter.set({ a: 2 });
    open();
    await settled();
    await hub.clock.advance(5_000);
    expect(hub.held).to.deep.equal({ a: 2 });
  });

  it('cuts a document to the limits and says so once', async () => {
    hub.reporter.set({ 'bad.key': 1, good: 1 });
    await settled();
    hub.reporter.set({ 'bad.key': 1, good: 2 });
    await hub.clock.advance(5_000);
    expect(hub.held).to.deep.equal({ good: 2 });
    expect(hub.log.lines.filter(({ level }) => level === 'warn')).to.have.length(1);
  });

  it('splits a patch that is larger than a message, when everything is replaced', async () => {
    const many = (prefix: string): JsonObject =>
      Object.fromEntries(Array.from({ length: 1_300 }, (_, index) => [`${prefix}-${'k'.repeat(10)}-${index}`, 1]));
    hub.reporter.set(many('before'));
    await settled();
    hub.reporter.set(many('after'));
    await hub.clock.advance(60_000);
    expect(hub.held).to.deep.equal(many('after'));
    expect(hub.patches.map(reportedRefusal)).to.deep.equal(hub.patches.map(() => undefined));
    expect(hub.patches).to.have.length.greaterThan(2);
  });

  it('flush() sends what is waiting for the interval', async () => {
    hub.reporter.set({ a: 1 });
    await settled();
    hub.reporter.set({ a: 2 });
    await settled();
    expect(await hub.reporter.flush(1_000)).to.equal(true);
    expect(hub.held).to.deep.equal({ a: 2 });
  });

  it('flush() is true with nothing to send', async () => {
    expect(await hub.reporter.flush(1_000)).to.equal(true);
  });

  it('flush() is false when the hub does not take it in time', async () => {
    hub.gate = new Promise(() => undefined);
    const { reporter } = hub;
    reporter.set({ a: 1 });
    const flushed = reporter.flush(1_000);
    await hub.clock.sleeping();
    await hub.clock.advance(1_000);
    expect(await flushed).to.equal(false);
    hub = new Hub();
  });

  it('close() does not wait out a pause', async () => {
    hub.online = false;
    hub.reporter.set({ a: 1 });
    await settled();
    await hub.reporter.close();
    expect(hub.clock.nextWait).to.equal(undefined);
  });
});
