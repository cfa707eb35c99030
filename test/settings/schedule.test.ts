import { expect } from 'chai';
import fc from 'fast-check';
import { isContinuous, nextRun, windowAt } from '../../modules/registry/src/settings/schedule.ts';
import type { SyncProperties } from '../../modules/registry/src/settings/settings.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

describe('isContinuous()', () => {
  for (const [schedule, expected] of [
    ['* * * * *', true],
    [' *  * * *\t* ', true],
    ['*/1 * * * *', false],
    ['0 * * * *', false],
  ] as const) {
    it(`says ${expected} for ${JSON.stringify(schedule)}`, () => expect(isContinuous(schedule)).to.equal(expected));
  }
});

describe('windowAt()', () => {
  const nightly = sync('0 22 * * *', 3 * hourMs);
  const open = { open: true, opened: new Date('2026-11-24T22:00:00Z'), closes: new Date('2026-11-25T01:00:00Z') };

  it('is shut one millisecond before the run', () => {
    expect(windowAt(nightly, new Date('2026-11-24T21:59:59.999Z'))).to.deep.equal({ open: false, opens: open.opened });
  });
  it('is open at the run itself', () => expect(windowAt(nightly, open.opened)).to.deep.equal(open));
  it('is open one millisecond before its end', () => {
    expect(windowAt(nightly, new Date('2026-11-25T00:59:59.999Z'))).to.deep.equal(open);
  });
  it('is shut exactly at its end', () => {
    const opens = new Date('2026-11-25T22:00:00Z');
    expect(windowAt(nightly, open.closes)).to.deep.equal({ open: false, opens });
  });

  it('is always open, continuous', () => {
    expect(windowAt(sync('* * * * *', undefined), new Date('2026-11-24T09:07:31Z'))).to.deep.equal({
      open: true,
      opened: new Date('2026-11-24T09:07:00Z'),
      closes: undefined,
    });
  });

  it('joins windows longer than the time between runs', () => {
    expect(windowAt(sync('0 8-17 * * *', 3 * hourMs), new Date('2026-11-24T12:30:00Z'))).to.deep.equal({
      open: true,
      opened: new Date('2026-11-24T08:00:00Z'),
      closes: new Date('2026-11-24T20:00:00Z'),
    });
  });

  it('joins windows over months', () => {
    expect(windowAt(sync('30 * * 1 *', hourMs), new Date('2027-01-15T12:00:00Z'))).to.deep.equal({
      open: true,
      opened: new Date('2027-01-01T00:30:00Z'),
      closes: new Date('2027-02-01T00:30:00Z'),
    });
  });

  for (const [schedule, windowMs] of [
    ['0 * * * *', hourMs],
    ['0 0 * * *', dayMs],
    ['0 0 * * 0', 7 * dayMs],
    ['*/5 * * * *', 7 * dayMs],
    ['0 0 */2 * *', 3 * dayMs],
  ] as const) {
    it(`never closes, ${schedule} with windows that touch`, () => {
      const at = new Date('2026-11-24T09:00:00Z');
      expect(windowAt(sync(schedule, windowMs), at)).to.include({ open: true, closes: undefined });
    });
  }

  it('knows leap days and month ends', () => {
    const leap = windowAt(sync('0 0 29 2 *', hourMs), new Date('2026-03-01T00:00:00Z'));
    expect(leap).to.deep.equal({ open: false, opens: new Date('2028-02-29T00:00:00Z') });
    const end = windowAt(sync('0 0 31 * *', hourMs), new Date('2026-11-01T00:00:00Z'));
    expect(end).to.deep.equal({ open: false, opens: new Date('2026-12-31T00:00:00Z') });
  });

  it('agrees with a scan minute by minute, generated schedules', () => {
    const field = (smallest: number, largest: number) =>
      fc.uniqueArray(fc.integer({ min: smallest, max: largest }), { minLength: 1, maxLength: 3 }).map((n) => n.join());
    const day = fc.oneof(
      fc.constant('* * *'),
      field(1, 28).map((days) => `${days} * *`),
      field(0, 6).map((days) => `* * ${days}`),
    );
    const schedules = fc.tuple(field(0, 59), fc.oneof(fc.constant('*'), field(0, 23)), day).map((all) => all.join(' '));
    const windows = fc.integer({ min: 60, max: 3 * 24 * 60 }).map((minutes) => minutes * minuteMs);
    const starts = fc.integer({ min: 0, max: 365 * 24 * 60 });
    const probes = fc.array(fc.integer({ min: 0, max: 14 * dayMs }), { minLength: 5, maxLength: 10 });
    fc.assert(
      fc.property(schedules, windows, starts, probes, (schedule, windowMs, startMinute, offsets) => {
        const begin = Date.UTC(2027, 11, 1) + startMinute * minuteMs;
        const runs = scan(schedule, begin - 32 * dayMs, begin + 46 * dayMs);
        for (const offset of offsets) {
          const at = begin + offset;
          expect(windowAt(sync(schedule, windowMs), new Date(at))).to.deep.equal(
            expected(runs, windowMs, at, windowAt(sync(schedule, windowMs), new Date(at))),
          );
          const next = runs.find((run) => run > at);
          if (next !== undefined) expect(nextRun(sync(schedule, windowMs), new Date(at)).getTime()).to.equal(next);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('nextRun()', () => {
  it('is later than the run it is asked at', () => {
    const daily = sync('0 5 * * *', hourMs);
    expect(nextRun(daily, new Date('2026-11-24T05:00:00Z'))).to.deep.equal(new Date('2026-11-25T05:00:00Z'));
    expect(nextRun(daily, new Date('2026-11-24T04:59:59.999Z'))).to.deep.equal(new Date('2026-11-24T05:00:00Z'));
  });

  it('keeps UTC, whatever the time zone of the process and its daylight saving', () => {
    const before = process.env['TZ'];
    process.env['TZ'] = 'America/New_York';
    try {
      const next = nextRun(sync('30 2 * * *', hourMs), new Date('2027-03-14T00:00:00Z'));
      expect(next.toISOString()).to.equal('2027-03-14T02:30:00.000Z');
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  });
});

function sync(schedule: string, syncWindowMs: number | undefined): SyncProperties {
  return { schedule, syncWindowMs, messageTtlMs: 2 * dayMs };
}

/** Every minute in which the schedule runs; fields are lists of numbers or `*`, one day field at most is restricted. */
function scan(schedule: string, from: number, to: number): number[] {
  const sets = schedule.split(' ').map((field) => (field === '*' ? undefined : new Set(field.split(',').map(Number))));
  const runs: number[] = [];
  for (let time = from; time < to; time += minuteMs) {
    const date = new Date(time);
    const parts = [
      date.getUTCMinutes(),
      date.getUTCHours(),
      date.getUTCDate(),
      date.getUTCMonth() + 1,
      date.getUTCDay(),
    ];
    if (parts.every((part, index) => sets[index]?.has(part) ?? true)) runs.push(time);
  }
  return runs;
}

/** What the scanned runs say. Where the joined windows leave the scanned time, `found` must be as long at least. */
function expected(runs: readonly number[], windowMs: number, at: number, found: ReturnType<typeof windowAt>): unknown {
  const latest = runs.findLastIndex((run) => run <= at);
  const latestRun = runs[latest];
  if (latestRun === undefined || at >= latestRun + windowMs) {
    return { open: false, opens: new Date(runs.find((run) => run > at)!) };
  }
  let first = latest;
  while (first > 0 && runs[first - 1]! + windowMs >= runs[first]!) first--;
  let last = latest;
  while (last < runs.length - 1 && runs[last]! + windowMs >= runs[last + 1]!) last++;
  if (last === runs.length - 1) return { open: true, opened: new Date(latestRun), closes: undefined };
  // A window that began before the scan began is known only to be at least as old.
  const opened =
    first === 0 && found.open && found.opened.getTime() <= runs[0]! ? found.opened : new Date(runs[first]!);
  return { open: true, opened, closes: new Date(runs[last]! + windowMs) };
}
