import { expect } from 'chai';
import { defaultPatience, delayBeforeRetry, parseRetryAfter } from '../../modules/registry/src/parent/patience.ts';

describe('delayBeforeRetry()', () => {
  it('doubles, up to a limit, with jitter of a half', () => {
    const patience = { ...defaultPatience, attempts: 10, firstDelayMs: 100, longestDelayMs: 500 };
    expect([1, 2, 3, 4].map((attempt) => delayBeforeRetry(patience, attempt, undefined, 1))).to.deep.equal([
      100, 200, 400, 500,
    ]);
    expect(delayBeforeRetry(patience, 1, undefined, 0)).to.equal(50);
  });

  it('gives up after the last attempt', () => {
    expect(delayBeforeRetry(defaultPatience, defaultPatience.attempts, undefined, 0)).to.equal(undefined);
    expect(delayBeforeRetry(defaultPatience, defaultPatience.attempts, 1, 0)).to.equal(undefined);
  });

  it('waits exactly as long as it is told, or not at all', () => {
    expect(delayBeforeRetry(defaultPatience, 1, 60, 0)).to.equal(60_000);
    expect(delayBeforeRetry(defaultPatience, 1, 61, 0)).to.equal(undefined);
    expect(delayBeforeRetry(defaultPatience, 1, 0, 0)).to.equal(0);
  });
});

describe('parseRetryAfter()', () => {
  const now = new Date('2026-11-24T09:00:00Z');
  for (const [header, expected] of [
    [undefined, undefined],
    ['120', 120],
    ['0', 0],
    ['Tue, 24 Nov 2026 09:00:30 GMT', 30],
    ['Tue, 24 Nov 2026 08:00:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
  ] as const) {
    it(`reads ${JSON.stringify(header)}`, () => {
      expect(parseRetryAfter(header, now)).to.equal(expected);
    });
  }
});
