import { expect } from 'chai';
import { nextStep } from '../../modules/registry/src/sync/next-step.ts';

const hourMs = 3_600_000;
const nightly = { schedule: '0 2 * * *', syncWindowMs: 3 * hourMs, messageTtlMs: 48 * hourMs };
const continuous = { schedule: '* * * * *', syncWindowMs: undefined, messageTtlMs: 48 * hourMs };
const at = (time: string): Date => new Date(`2026-11-24T${time}Z`);
const yesterday = new Date('2026-11-23T02:00:00Z');

describe('nextStep()', () => {
  type Options = Parameters<typeof nextStep>[0];
  const succeeded: Options['memory'] = {
    ...{ state: 'Succeeded', lastStart: yesterday, lastSuccess: yesterday },
    recovery: false,
  };
  const step = (options: Partial<Options>) =>
    nextStep({
      now: at('02:00:00'),
      sync: nightly,
      memory: succeeded,
      asked: undefined,
      woken: false,
      retryAt: undefined,
      ...options,
    });

  it('waits for the window to the millisecond', () => {
    expect(step({ now: at('01:59:59.999') })).to.deep.equal({ kind: 'wait', until: at('02:00:00') });
    expect(step({ now: at('02:00:00') })).to.deep.equal({ kind: 'pass', trigger: 'Scheduled', closes: at('05:00:00') });
    expect(step({ now: at('05:00:00'), memory: { ...succeeded, state: 'TimedOut' } })).to.have.property('kind', 'wait');
  });

  it('starts a missed run at once, inside its window', () => {
    expect(step({ now: at('04:30:00') })).to.include({ kind: 'pass', trigger: 'Scheduled' });
  });

  it('waits for the next run, after a success in this window', () => {
    const memory = { ...succeeded, lastStart: at('02:00:00') };
    expect(step({ now: at('02:30:00'), memory })).to.deep.equal({
      kind: 'wait',
      until: new Date('2026-11-25T02:00:00Z'),
    });
  });

  for (const state of ['TimedOut', 'Syncing', 'Failed', 'Pending'] as const) {
    it(`goes on in an open window, after a pass that ended as ${state}`, () => {
      const memory = { ...succeeded, state, lastStart: at('02:00:00') };
      expect(step({ now: at('02:30:00'), memory })).to.include({ kind: 'pass' });
    });
  }

  it('calls it InitialSync, until one has succeeded', () => {
    const memory = { state: 'Pending' as const, lastStart: undefined, lastSuccess: undefined, recovery: false };
    expect(step({ memory })).to.include({ trigger: 'InitialSync' });
  });

  it('has a recovery due at once, in a window, whatever succeeded before', () => {
    const memory = { ...succeeded, lastStart: at('02:00:00'), recovery: true };
    expect(step({ now: at('02:30:00'), memory })).to.include({ kind: 'pass', trigger: 'RecoveryService' });
    expect(step({ now: at('12:00:00'), memory })).to.have.property('kind', 'wait');
    expect(step({ now: at('02:30:00'), memory, retryAt: at('02:29:00') })).to.include({ trigger: 'RecoveryService' });
  });

  it('runs a manual resync outside a window, without an end', () => {
    const expected = { kind: 'pass', trigger: 'ManualResync', closes: undefined };
    expect(step({ now: at('12:00:00'), asked: 'ManualResync' })).to.deep.equal(expected);
  });

  it('lets a token update wait for the window', () => {
    expect(step({ now: at('12:00:00'), asked: 'SyncTokenUpdate' })).to.include({ kind: 'wait' });
    expect(step({ asked: 'SyncTokenUpdate' })).to.include({ kind: 'pass', trigger: 'SyncTokenUpdate' });
  });

  it('does nothing before the retry is due, and no later than the window closes', () => {
    const memory = { ...succeeded, state: 'Failed' as const };
    const now = at('04:59:00');
    const wait = (retryAt: Date) => step({ now, memory, retryAt, woken: true });
    expect(wait(at('04:59:30'))).to.deep.equal({ kind: 'wait', until: at('04:59:30') });
    expect(wait(at('05:10:00'))).to.deep.equal({ kind: 'wait', until: at('05:00:00') });
    expect(wait(at('04:59:00'))).to.include({ kind: 'pass' });
  });

  it('lets news from the parent wait for the retry, but not for the schedule', () => {
    const memory = { ...succeeded, lastStart: at('02:00:00') };
    const news = { now: at('02:30:00'), memory, asked: 'Scheduled' } as const;
    expect(step(news)).to.include({ kind: 'pass', trigger: 'Scheduled' });
    expect(step({ ...news, retryAt: at('02:31:00') })).to.deep.equal({ kind: 'wait', until: at('02:31:00') });
  });

  it('drains when woken, between passes and inside a window only', () => {
    const memory = { ...succeeded, lastStart: at('02:00:00') };
    expect(step({ now: at('02:30:00'), memory, woken: true })).to.deep.equal({ kind: 'drain', closes: at('05:00:00') });
    expect(step({ now: at('12:30:00'), memory, woken: true })).to.include({ kind: 'wait' });
  });

  it('runs every minute, when continuous', () => {
    const memory = { ...succeeded, lastStart: at('12:00:10') };
    const now = at('12:00:20');
    expect(step({ now, sync: continuous, memory })).to.deep.equal({ kind: 'wait', until: at('12:01:00') });
    expect(step({ now: at('12:01:00'), sync: continuous, memory })).to.include({ kind: 'pass', closes: undefined });
  });

  it('does not trust a start in the future', () => {
    const memory = { ...succeeded, lastStart: new Date('2031-01-01T00:00:00Z') };
    expect(step({ memory })).to.include({ kind: 'pass' });
  });
});
