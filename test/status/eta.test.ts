import { expect } from 'chai';
import { estimateEnd } from '../../modules/registry/src/status/eta.ts';

const since = new Date('2026-11-24T09:00:00Z');
const now = new Date('2026-11-24T09:10:00Z');

describe('estimateEnd()', () => {
  it('goes on at the average rate', () => {
    const end = estimateEnd({ since, bytesMoved: 100, bytesLeft: 200 }, now);
    expect(end?.toISOString()).to.equal('2026-11-24T09:30:00.000Z');
  });

  it('rounds up to the minute', () => {
    const end = estimateEnd({ since, bytesMoved: 100, bytesLeft: 201 }, now);
    expect(end?.toISOString()).to.equal('2026-11-24T09:31:00.000Z');
  });

  it('is undefined when nothing was moved, nothing is left, no time passed, or it never ends', () => {
    expect(estimateEnd({ since, bytesMoved: 0, bytesLeft: 300 }, now)).to.equal(undefined);
    expect(estimateEnd({ since, bytesMoved: 300, bytesLeft: 0 }, now)).to.equal(undefined);
    expect(estimateEnd({ since: now, bytesMoved: 1, bytesLeft: 299 }, now)).to.equal(undefined);
    expect(estimateEnd({ since, bytesMoved: 1, bytesLeft: 1e18 }, now)).to.equal(undefined);
  });
});
