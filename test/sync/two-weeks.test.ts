import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { windowAt } from '../../modules/registry/src/settings/schedule.ts';
import type { SyncProperties } from '../../modules/registry/src/settings/settings.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';
import type { SyncEngine } from '../../modules/registry/src/sync/sync-engine.ts';
import { createSyncEngine } from '../../modules/registry/src/sync/engine.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { settingsBelow } from './faulty-site.ts';
import { MemoryRegistry } from './memory-registry.ts';

const hello = repository('plant/hello');
const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];

/** A feed in which nothing ever happens. */
const quietFeed: ParentRegistry['readMessages'] = async ({ waitSeconds, signal }) => {
  if (waitSeconds === undefined) return undefined;
  if (!signal.aborted) await once(signal, 'abort');
  signal.throwIfAborted();
  return undefined;
};

/** A site whose clock is moved through days, minute by minute, with everything its parent was asked, and when. */
class Site {
  readonly parent = new MemoryRegistry();
  /** Pings: one begins each pass, those of a link that moves no byte come later. Of one minute, those that are no retry. */
  readonly passes: string[] = [];
  /** When anything was asked. */
  readonly asked: Date[] = [];
  store!: Store;
  engine!: SyncEngine;
  clock: ManualClock;
  readonly #directory: string;
  readonly #desired: object;
  #started = false;
  #wake = (): void => undefined;

  constructor(directory: string, start: string, desired: object) {
    this.#directory = directory;
    this.#desired = desired;
    this.clock = new ManualClock(start);
    this.parent.readMessages = quietFeed;
    this.parent.before = (call) => {
      this.asked.push(this.clock.now());
      if (call === 'ping' && this.engine.status().connectionState !== 'Syncing')
        this.passes.push(this.clock.now().toISOString().slice(0, 16));
    };
  }

  async start(): Promise<void> {
    const log = new RecordingLog();
    this.store = await openStore({ directory: this.#directory, clock: this.clock, log });
    this.engine = createSyncEngine({
      ...{ store: this.store, clock: this.clock, log, random: () => 1, connect: () => this.parent },
      onStatus: () => this.#wake(),
    });
    this.engine.apply(settingsBelow('parent.example', { mode: 'ReadOnly', ...this.#desired }), { active: true });
    this.#started = true;
    await this.clock.sleeping();
    await this.when(({ state, connectionState }) => state !== 'Syncing' && connectionState !== 'Syncing');
  }

  async stop(): Promise<void> {
    if (!this.#started) return;
    this.#started = false;
    await this.engine.close();
    await this.store.close();
  }

  /** The process is down until then; the clock is another one when it comes back. */
  async downUntil(time: string): Promise<void> {
    await this.stop();
    this.clock = new ManualClock(time);
    await this.start();
  }

  /** The first status, or the present one, of which `holds` is true. */
  async when(holds: (status: SyncStatus) => boolean): Promise<void> {
    for (;;) {
      const told = new Promise<void>((resolve) => (this.#wake = resolve));
      if (holds(this.engine.status())) break;
      await told;
    }
    // It goes to sleep in the same turn.
    await new Promise((resolve) => setImmediate(resolve));
  }

  async advanceTo(date: Date | undefined): Promise<void> {
    await this.clock.advance((date?.getTime() ?? NaN) - this.clock.now().getTime());
  }

  /** Lets time pass, from one run to the next; each pass comes to its end before the clock moves on. */
  async pass(durationMs: number): Promise<void> {
    const endMs = this.clock.now().getTime() + durationMs;
    for (;;) {
      const due = this.engine.status().nextSyncTime?.getTime() ?? Infinity;
      await this.clock.advance(Math.min(due, endMs) - this.clock.now().getTime());
      if (due > endMs) return;
      await this.when(
        ({ lastSyncStartTime, state, connectionState, nextSyncTime }) =>
          lastSyncStartTime?.getTime() === due &&
          state !== 'Syncing' &&
          connectionState !== 'Syncing' &&
          nextSyncTime?.getTime() !== due,
      );
    }
  }
}

const everyNight = { schedule: '0 1 * * *', syncWindow: 'PT3H' };
const parentWith = (syncProperties: object): object => ({
  parent: { gatewayEndpoint: 'parent.example', protocol: 'http', syncProperties },
});

describe('two weeks of a schedule', function () {
  this.timeout(60_000);
  let directory: string;
  let site: Site;

  beforeEach(async () => {
    directory = await temporaryDirectory();
  });
  afterEach(async () => {
    await site.stop();
    await rm(directory, { recursive: true, force: true });
  });

  async function open(start: string, desired: object): Promise<void> {
    site = new Site(directory, start, desired);
    await pushImage(site.parent, hello, sampleImage(['one']), tag('v1'));
    site.parent.calls.length = 0;
    site.asked.length = 0;
    await site.start();
  }

  const nights = (first: number, last: number, time = '01:00'): string[] =>
    Array.from({ length: last - first + 1 }, (_, index) => `2026-11-${String(first + index).padStart(2, '0')}T${time}`);

  it('makes one pass every night, at its beginning', async () => {
    await open('2026-11-02T12:00:00Z', parentWith(everyNight));
    await site.pass(14 * dayMs);
    expect(site.passes).to.deep.equal(nights(3, 16));
  });

  it('makes up for a night that was missed, inside a window only', async () => {
    await open('2026-11-02T12:00:00Z', parentWith(everyNight));
    await site.pass(3 * dayMs);
    await site.downUntil('2026-11-07T02:30:00Z'); // in the middle of the fourth night
    await site.pass(hourMs);
    await site.downUntil('2026-11-09T12:00:00Z'); // after a night, outside every window
    await site.pass(7 * dayMs);
    expect(site.passes).to.deep.equal([...nights(3, 5), '2026-11-07T02:30', ...nights(10, 16)]);
  });

  it('makes no second pass in a night, when it was restarted in it', async () => {
    await open('2026-11-03T00:30:00Z', parentWith(everyNight));
    await site.pass(hourMs);
    await site.downUntil('2026-11-03T02:00:00Z');
    await site.pass(dayMs);
    expect(site.passes).to.deep.equal(nights(3, 4));
  });

  it('makes a pass at each run of windows that overlap', async () => {
    await open('2026-11-02T12:00:00Z', parentWith({ schedule: '0 1,3 * * *', syncWindow: 'PT4H' }));
    await site.pass(2 * dayMs);
    expect(site.passes).to.deep.equal(nights(3, 4).flatMap((night) => [night, night.replace('01:', '03:')]));
  });

  it('is right again after a clock that was wrong', async () => {
    await open('2026-11-02T12:00:00Z', parentWith(everyNight));
    await site.pass(dayMs);
    await site.downUntil('2031-01-01T02:00:00Z'); // forward, into a window
    await site.pass(hourMs);
    await site.downUntil('2026-11-04T12:00:00Z'); // and back
    await site.pass(12 * dayMs);
    expect(site.passes).to.deep.equal([...nights(3, 3), '2031-01-01T02:00', ...nights(5, 16)]);
  });

  it('brings a blob that is larger than what comes in a night over several nights, no byte twice', async () => {
    const [sizeBytes, nightBytes] = [10_000_000, 2_500_000];
    await open('2026-11-02T12:00:00Z', parentWith(everyNight));
    await pushImage(site.parent, hello, sampleImage([Buffer.alloc(sizeBytes, 'large')]), tag('large'));
    const offsets: number[] = [];
    let sentBytes = 0;
    site.parent.content = (bytes, offset) => {
      const content = new Readable({ read: () => undefined });
      const part = bytes.subarray(offset, offset + nightBytes);
      content.push(part);
      if (offset + part.length === bytes.length) content.push(null);
      if (bytes.length === sizeBytes) {
        offsets.push(offset);
        sentBytes += part.length;
      }
      return content;
    };
    for (let night = 1; night < 4; night += 1) {
      await site.advanceTo(site.engine.status().nextSyncTime);
      const isThere = (): boolean =>
        sentBytes === night * nightBytes && site.engine.status().bytesDone >= night * nightBytes;
      while (!isThere()) await new Promise((resolve) => setImmediate(resolve));
      await site.clock.advance(3 * hourMs);
      await site.when(({ state, connectionState }) => state === 'TimedOut' && connectionState === 'Online');
    }
    await site.pass(dayMs);
    expect(offsets).to.deep.equal([0, 1, 2, 3].map((night) => night * nightBytes));
    expect(sentBytes).to.equal(sizeBytes);
    expect(site.engine.status()).to.include({ inSync: true });
    expect(site.passes).to.deep.equal(nights(3, 6));
  });

  it('asks nothing outside its windows, whatever the schedule', async function () {
    this.timeout(120_000);
    const schedules = fc.record({
      minute: fc.constantFrom('0', '30', '*/20', '7'),
      hour: fc.oneof(fc.integer({ min: 0, max: 23 }).map(String), fc.constantFrom('*/5', '22-23', '1,3', '*')),
      day: fc.constantFrom('*', '*', '1-5', '0,6'),
      windowHours: fc.integer({ min: 1, max: 30 }),
      startMinutes: fc.integer({ min: 0, max: 14 * 24 * 60 }),
      restartAfterHours: fc.integer({ min: 1, max: 47 }),
    });
    let asked = 0;
    await fc.assert(
      fc.asyncProperty(schedules, async ({ minute, hour, day, windowHours, startMinutes, restartAfterHours }) => {
        const schedule = `${minute} ${hour} * * ${day}`;
        const start = new Date(Date.parse('2026-11-02T00:00:00Z') + startMinutes * minuteMs).toISOString();
        directory = await temporaryDirectory();
        await open(start, parentWith({ schedule, syncWindow: `PT${windowHours}H` }));
        await site.pass(restartAfterHours * hourMs);
        await site.downUntil(new Date(site.clock.now().getTime() + 5 * hourMs).toISOString());
        await site.pass(2 * dayMs);
        await site.stop();
        // Every week has one at the latest; nothing at all would prove nothing.
        asked += site.asked.length;
        await rm(directory, { recursive: true, force: true });
        const sync = { schedule, syncWindowMs: windowHours * hourMs, messageTtlMs: 2 * dayMs };
        expectInsideWindows(site.asked, sync);
      }),
      { numRuns: 5 },
    );
    expect(asked).to.be.greaterThan(0);
  });
});

function expectInsideWindows(times: readonly Date[], sync: SyncProperties): void {
  for (const time of times) expect(windowAt(sync, time).open, `${sync.schedule} ${time.toISOString()}`).to.equal(true);
}
