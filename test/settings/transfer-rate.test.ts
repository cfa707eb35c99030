import { expect } from 'chai';
import type { TransferBudget } from '../../modules/registry/src/settings/settings.ts';
import { rateAt } from '../../modules/registry/src/settings/transfer-rate.ts';

const budget = (from: string, to: string, bytesPerSecond: number, days: TransferBudget['days'] = []) => ({
  ...{ from, to, bytesPerSecond, days },
});

/** `rate until`, at a time on the day given; 2026-11-24 is a Tuesday. */
function at(time: string, ...budgets: TransferBudget[]): string {
  const now = new Date(time.includes('T') ? time : `2026-11-24T${time}Z`);
  const { bytesPerSecond, until } = rateAt({ concurrency: 4, bytesPerSecond: 7, budgets }, now);
  return `${bytesPerSecond} ${until?.toISOString().slice(8, 16) ?? 'always'}`;
}

describe('rateAt()', () => {
  it('is bytesPerSecond, without budgets', () => {
    expect(at('12:00:00')).to.equal('7 always');
  });

  it('is that of a budget from its first moment to just before its end', () => {
    const day = budget('06:00', '18:00', 100);
    expect(at('05:59:59.999', day)).to.equal('7 24T06:00');
    expect(at('06:00:00', day)).to.equal('100 24T18:00');
    expect(at('17:59:59.999', day)).to.equal('100 24T18:00');
    expect(at('18:00:00', day)).to.equal('7 25T06:00');
  });

  it('goes on over midnight, where the end is earlier than the begin', () => {
    const night = budget('22:00', '05:30', 0);
    expect(at('21:59:00', night)).to.equal('7 24T22:00');
    expect(at('23:00:00', night)).to.equal('0 25T05:30');
    expect(at('00:00:00', night)).to.equal('0 24T05:30');
    expect(at('05:30:00', night)).to.equal('7 24T22:00');
  });

  it('is that of the first, where budgets overlap', () => {
    const [lunch, day] = [budget('11:00', '13:00', 5), budget('06:00', '18:00', 100)];
    expect(at('12:00:00', lunch, day)).to.equal('5 24T13:00');
    expect(at('12:00:00', day, lunch)).to.equal('100 24T13:00');
    expect(at('13:00:00', lunch, day)).to.equal('100 24T18:00');
  });

  it('counts a night to the day on which it began', () => {
    const monday = budget('22:00', '06:00', 1, ['Mon']);
    expect(at('2026-11-23T23:00:00Z', monday)).to.equal('1 24T06:00');
    expect(at('2026-11-24T05:00:00Z', monday)).to.equal('1 24T06:00');
    expect(at('2026-11-24T23:00:00Z', monday)).to.equal('7 25T06:00');
    expect(at('2026-11-23T05:00:00Z', monday)).to.equal('7 23T06:00');
  });

  it('knows weekends', () => {
    const weekend = budget('00:00', '23:59', 9, ['Sat', 'Sun']);
    const days = ['27', '28', '29', '30'].map((day) => at(`2026-11-${day}T12:00:00Z`, weekend).split(' ')[0]);
    expect(days).to.deep.equal(['7', '9', '9', '7']);
  });
});
