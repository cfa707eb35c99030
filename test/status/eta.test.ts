import { expect } from 'chai';
import { estimateEnd } from '../../modules/registry/src/status/eta.ts';

const started = new Date('2026-11-24T09:00:00Z');
const now = new Date('2026-11-24T09:10:00Z');

describe('estimateEnd()', () => {
  it('goes on at the average rate', () => {
    const end = estimateEnd({ started, bytesDone: 100, bytesTotal: 300 }, now);
    expect(end?.toISOString()).to.equal('2026-11-24T09:30:00.000Z');
  });

  it('rounds up to the minute', () => {
    const end = estimateEnd({ started, bytesDone: 100, bytesTotal: 301 }, now);
    expect(end?.toISOString()).to.equal('2026-11-24T09:31:00.000Z');
  });

  it('is undefined when nothing was moved, nothing is left, no time passed, or it never ends', () => {
    expect(estimateEnd({ started, bytesDone: 0, bytesTotal: 300 }, now)).to.equal(undefined);
    expect(estimateEnd({ started, bytesDone: 300, bytesTotal: 300 }, now)).to.equal(undefined);
    expect(estimateEnd({ started: now, bytesDone: 1, bytesTotal: 300 }, now)).to.equal(undefined);
    expect(estimateEnd({ started, bytesDone: 1, bytesTotal: 1e18 }, now)).to.equal(undefined);
  });
});
