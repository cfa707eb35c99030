import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { rateAt } from '../../modules/registry/src/settings/transfer-rate.ts';
import { createRateLimit, type RateLimit, type TakeOptions } from '../../modules/registry/src/sync/rate-limit.ts';
import { waitUntil } from '../../modules/registry/src/sync/wait-until.ts';
import { patiently } from './patiently.ts';
import { ManualClock } from '../helpers/manual-clock.ts';

const always = (bytesPerSecond: number) => () => ({ bytesPerSecond, until: undefined });

/** Takes `sizeBytes` in all, chunk by chunk as a transfer does; what passed is told to `onPassed`. */
async function transfer(
  limit: RateLimit,
  sizeBytes: number,
  onPassed: (bytes: number) => void,
  options: TakeOptions & { readonly chunkBytes?: number } = {},
): Promise<void> {
  const { chunkBytes = 64 * 1024 } = options;
  for (let passed = 0; passed < sizeBytes;) {
    const granted = await limit.take(Math.min(chunkBytes, sizeBytes - passed), options);
    passed += granted;
    onPassed(granted);
  }
}

describe('createRateLimit()', () => {
  it('lets everything pass at once, with no limit', async () => {
    const clock = new ManualClock();
    expect(await createRateLimit({ clock }).take(1_000_000_000)).to.equal(1_000_000_000);
    expect(clock.nextWait).to.equal(undefined);
  });

  for (const bytesPerSecond of [1_000, 250_000, 12_500_000]) {
    for (const chunkBytes of [1_000, 16 * 1024, 512 * 1024]) {
      it(`lets ${bytesPerSecond} bytes a second pass within 5 % over any 10 s, in chunks of ${chunkBytes}`, async () => {
        const clock = new ManualClock();
        const limit = createRateLimit({ clock });
        limit.follow(always(bytesPerSecond));
        const seconds: number[] = [];
        let passed = 0;
        const takers = Array.from({ length: 3 }, () =>
          transfer(limit, 7 * bytesPerSecond, (bytes) => (passed += bytes), { chunkBytes }),
        );
        await clock.sleeping();
        for (let second = 0; second < 20; second += 1) {
          const before = passed;
          await clock.advance(1000);
          seconds.push(passed - before);
        }
        for (let from = 0; from <= 10; from += 1) {
          const sum = seconds.slice(from, from + 10).reduce((all, one) => all + one, 0);
          expect(sum / (10 * bytesPerSecond)).to.be.within(0.95, 1.05);
        }
        await clock.advance(2000);
        await Promise.all(takers);
        expect(passed).to.equal(21 * bytesPerSecond);
      });
    }
  }

  it('does not save up what was not used', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock });
    limit.follow(always(1000));
    await clock.advance(3_600_000);
    let passed = 0;
    const taker = transfer(limit, 5000, (bytes) => (passed += bytes));
    await clock.sleeping();
    await clock.advance(1000);
    expect(passed).to.be.within(950, 1300);
    await clock.advance(5000);
    await taker;
  });

  it('changes in the middle of a chunk, to the byte, when the time of day does', async () => {
    const clock = new ManualClock('2026-11-24T17:59:50Z');
    const limit = createRateLimit({ clock });
    const budgets = [{ from: '06:00', to: '18:00', days: [], bytesPerSecond: 1000 }];
    limit.follow((now) => rateAt({ concurrency: 4, bytesPerSecond: 20_000, budgets }, now));
    let passed = 0;
    const taker = transfer(limit, 210_000, (bytes) => (passed += bytes), { chunkBytes: 210_000 });
    await clock.advance(10_000);
    expect(passed).to.be.within(9_500, 10_500);
    await clock.advance(9_500);
    expect(passed).to.be.within(9_500 + 180_500, 10_500 + 199_500);
    await clock.advance(1_000);
    await taker;
  });

  it('serves those in a hurry first', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock });
    limit.follow(always(10_000));
    let [hurried, others] = [0, 0];
    const slow = transfer(limit, 100_000, (bytes) => (others += bytes));
    await clock.advance(1000);
    const before = others;
    const fast = transfer(limit, 50_000, (bytes) => (hurried += bytes), { isUrgent: () => true });
    for (let step = 0; step < 400; step += 1) {
      await clock.advance(10);
      await setImmediate();
    }
    expect(hurried).to.be.within(38_000, 42_000);
    expect(others - before).to.be.lessThan(2000);
    await patiently(clock, Promise.all([slow, fast]));
  });

  it('makes others wait for what passed without asking', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock });
    limit.follow(always(100));
    limit.charge(1000);
    let granted = 0;
    const taker = limit.take(1).then((bytes) => (granted = bytes));
    await clock.advance(9_000);
    expect(granted).to.equal(0);
    await clock.advance(2_000);
    await taker;
  });

  it('frees those who wait, when the limit is taken away', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock });
    limit.follow(always(1));
    limit.charge(1_000_000);
    const next = limit.take(10);
    await clock.sleeping();
    limit.follow(always(0));
    await clock.advance(1000);
    expect(await next).to.equal(10);
  });

  it('rejects with the reason, on abort, and leaves no timer', async () => {
    const clock = new ManualClock();
    const limit = createRateLimit({ clock });
    limit.follow(always(1));
    limit.charge(1000);
    const stop = new AbortController();
    const next = limit.take(1, { signal: stop.signal }).catch((error: unknown) => error);
    await clock.sleeping();
    const reason = new Error('enough');
    stop.abort(reason);
    expect(await next).to.equal(reason);
    expect(clock.nextWait).to.equal(undefined);
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
