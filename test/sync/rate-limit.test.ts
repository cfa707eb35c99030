import { expect } from 'chai';
import fc from 'fast-check';
import { backOffMs } from '../../modules/registry/src/status/back-off.ts';
import { createRateLimit } from '../../modules/registry/src/sync/rate-limit.ts';
import { waitUntil } from '../../modules/registry/src/sync/wait-until.ts';
import { ManualClock } from '../helpers/manual-clock.ts';

describe('createRateLimit()', () => {
  it('lets everything pass at once, with no limit', async () => {
    const clock = new ManualClock();
    await createRateLimit({ clock }).take(1_000_000_000);
    expect(clock.nextWait).to.equal(undefined);
  });

  it('keeps the average over many takers, with a limit', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock, bytesPerSecond: 1000 });
    let passedBytes = 0;
    const takers = Array.from({ length: 3 }, async () => {
      for (let i = 0; i < 20; i++) {
        await limit.take(500);
        passedBytes += 500;
      }
    });
    await clock.sleeping();
    await clock.advance(10_000);
    expect(passedBytes).to.be.within(10_000, 12_500);
    await clock.advance(30_000);
    await Promise.all(takers);
  });

  it('lets a chunk larger than a second of bytes pass, and makes the next one wait for it', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock, bytesPerSecond: 100 });
    await limit.take(1000);
    const next = limit.take(1);
    let passed = false;
    void next.then(() => (passed = true));
    await clock.advance(8000);
    expect(passed).to.equal(false);
    await clock.advance(2000);
    await next;
  });

  it('frees those who wait, when the limit is taken away', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock, bytesPerSecond: 1 });
    await limit.take(1_000_000);
    const next = limit.take(1);
    await clock.sleeping();
    limit.setBytesPerSecond(0);
    await clock.advance(1000);
    await next;
  });

  it('rejects with the reason, on abort', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock, bytesPerSecond: 1 });
    await limit.take(1000);
    const stop = new AbortController();
    const next = limit.take(1, stop.signal).catch((error: unknown) => error);
    const reason = new Error('enough');
    stop.abort(reason);
    expect(await next).to.equal(reason);
  });
});

describe('backOffMs()', () => {
  it('grows to its limit, within its half', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, lot) => {
        const full = Math.min(60_000, 1000 * 2 ** attempt);
        const waitMs = backOffMs(attempt, { firstMs: 1000, longestMs: 60_000, random: () => lot });
        expect(waitMs).to.be.within(full / 2, full);
      }),
    );
  });
});

describe('waitUntil()', () => {
  it('looks at the clock once a minute, since it may have been set', async () => {
    const clock = new ManualClock('2026-11-24T09:00:00Z');
    const done = waitUntil(clock, new Date('2026-11-24T12:00:00Z'), new AbortController().signal);
    expect(clock.nextWait).to.equal(60_000);
    await clock.advance(3 * 3_600_000);
    await done;
    expect(clock.nextWait).to.equal(undefined);
  });
});
