import { expect } from 'chai';
import { startHousekeeping } from '../modules/registry/src/housekeeping.ts';
import { pushImage, sampleImage } from './helpers/images.ts';
import type { ManualClock } from './helpers/manual-clock.ts';
import { repository, tag } from './helpers/names.ts';
import { brief, collect, withStore } from './store/with-store.ts';

const plant = repository('plant');
const [hourMs, minuteMs] = [3_600_000, 60_000];

/** Moves the clock, and waits until what that started is done. */
async function later(clock: ManualClock, milliseconds: number): Promise<void> {
  await clock.sleeping();
  await clock.advance(milliseconds);
  await clock.sleeping();
}

describe('startHousekeeping()', () => {
  it(
    'forgets changes older than the message TTL, parent or none',
    withStore(async ({ store, clock, log }) => {
      let measured = 0;
      const housekeeping = await startHousekeeping({
        ...{ store, clock, log, messageTtlMs: () => 48 * hourMs },
        onMeasured: () => (measured += 1),
      });
      try {
        await pushImage(store.local, plant, sampleImage(['one']), tag('1'));
        await later(clock, 47 * hourMs);
        await pushImage(store.local, plant, sampleImage(['two']), tag('2'));
        await later(clock, hourMs + minuteMs);
        expect(measured).to.equal(2);
        expect((await collect(store.journal.readAfter(0))).map(brief)).to.deep.equal(['push plant:2']);
        expect(store.journal.head).to.equal(2);
      } finally {
        await housekeeping.close();
      }
    }),
  );

  it(
    'measures the disk once a minute, and goes on after it could not',
    withStore(async ({ store, clock, log }) => {
      const sizes = [100, new Error('EIO'), 70];
      const freeBytes = (): Promise<number> => {
        const next = sizes.shift() ?? 0;
        return typeof next === 'number' ? Promise.resolve(next) : Promise.reject(next);
      };
      const housekeeping = await startHousekeeping({
        ...{ store: { journal: store.journal, freeBytes }, clock, log, messageTtlMs: () => hourMs },
        onMeasured: () => undefined,
      });
      try {
        expect(housekeeping.freeBytes).to.equal(100);
        await later(clock, minuteMs);
        expect(housekeeping.freeBytes).to.equal(100);
        expect(log.lines.map(({ level }) => level)).to.include('error');
        await later(clock, minuteMs);
        expect(housekeeping.freeBytes).to.equal(70);
      } finally {
        await housekeeping.close();
      }
    }),
  );
});
