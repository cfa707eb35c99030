import { expect } from 'chai';
import { backOffMs } from '../../modules/registry/src/twin/back-off.ts';

describe('backOffMs()', () => {
  const backOff = { firstMs: 1_000, longestMs: 60_000 };
  it('doubles until the longest', () => {
    const pauses = [0, 1, 2, 5, 6, 1_000_000].map((attempt) => backOffMs(attempt, backOff, () => 0.5));
    expect(pauses).to.deep.equal([1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
  });
  it('spreads by a quarter either way', () => {
    expect([0, 1].map((chance) => backOffMs(0, backOff, () => chance))).to.deep.equal([750, 1_250]);
  });
});
