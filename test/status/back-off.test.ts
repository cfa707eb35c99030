import { expect } from 'chai';
import fc from 'fast-check';
import { backOffMs } from '../../modules/registry/src/status/back-off.ts';

describe('backOffMs()', () => {
  const backOff = { firstMs: 1_000, longestMs: 60_000 };

  it('doubles until the longest', () => {
    const pauses = [0, 1, 2, 5, 6, 1_000_000].map((attempt) => backOffMs(attempt, backOff, () => 1));
    expect(pauses).to.deep.equal([1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
  });

  it('stays within the upper half', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, lot) => {
        const full = Math.min(60_000, 1_000 * 2 ** attempt);
        expect(backOffMs(attempt, backOff, () => lot)).to.be.within(full / 2, full);
      }),
    );
  });
});
