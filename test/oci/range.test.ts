import { expect } from 'chai';
import fc from 'fast-check';
import { parseChunkRange, parseRange } from '../../modules/registry/src/oci/range.ts';

describe('parseRange()', () => {
  const rows: readonly (readonly [string | undefined, number, ReturnType<typeof parseRange>])[] = [
    [undefined, 2000, undefined],
    ['bytes=500-1499', 2000, { start: 500, end: 1499 }],
    ['bytes=500-', 2000, { start: 500, end: 1999 }],
    ['bytes=-500', 2000, { start: 1500, end: 1999 }],
    ['bytes=0-0', 2000, { start: 0, end: 0 }],
    ['bytes=0-', 1, { start: 0, end: 0 }],
    [' bytes=0-1 ', 2000, { start: 0, end: 1 }],
    ['bytes=1500-9999', 2000, { start: 1500, end: 1999 }],
    ['bytes=-9999', 2000, { start: 0, end: 1999 }],
    [`bytes=0-${'9'.repeat(400)}`, 2000, { start: 0, end: 1999 }],
    ['bytes=1999-', 2000, { start: 1999, end: 1999 }],
    ['bytes=2000-', 2000, 'unsatisfiable'],
    ['bytes=2000-2001', 2000, 'unsatisfiable'],
    [`bytes=${'9'.repeat(400)}-`, 2000, 'unsatisfiable'],
    ['bytes=500-0', 2000, 'unsatisfiable'],
    ['bytes=-0', 2000, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-1', 0, 'unsatisfiable'],
    ['bytes=-', 2000, undefined],
    ['bytes=', 2000, undefined],
    ['bytes=0-1,5-6', 2000, undefined],
    ['bytes=a-b', 2000, undefined],
    ['bytes=0x1-2', 2000, undefined],
    ['bytes=--1', 2000, undefined],
    ['bytes=+1-2', 2000, undefined],
    ['items=0-1', 2000, undefined],
    ['0-1', 2000, undefined],
    ['', 2000, undefined],
  ];
  for (const [header, size, expected] of rows) {
    const shown = header === undefined ? 'no header' : JSON.stringify(header.slice(0, 30));
    it(`reads ${shown} of ${size} bytes as ${expected ? JSON.stringify(expected) : 'the whole'}`, () => {
      expect(parseRange(header, size)).to.deep.equal(expected);
    });
  }

  it('never leaves the content', () => {
    const edge = fc.oneof(fc.constant(''), fc.nat().map(String));
    fc.assert(
      fc.property(edge, edge, fc.nat({ max: 5000 }), (first, last, size) => {
        const range = parseRange(`bytes=${first}-${last}`, size);
        if (typeof range !== 'object') return;
        expect(range.start).to.be.within(0, range.end);
        expect(range.end).to.be.below(size);
      }),
    );
  });
});

describe('parseChunkRange()', () => {
  const rows: readonly (readonly [string, ReturnType<typeof parseChunkRange>])[] = [
    ['0-499', { start: 0, end: 499 }],
    ['500-500', { start: 500, end: 500 }],
    ['bytes 0-499', { start: 0, end: 499 }],
    ['bytes=0-499', { start: 0, end: 499 }],
    ['bytes 0-499/1000', { start: 0, end: 499 }],
    ['bytes 0-499/*', { start: 0, end: 499 }],
    ['499-0', undefined],
    ['-499', undefined],
    ['0-', undefined],
    ['', undefined],
    ['0-499-900', undefined],
    ['0-499/', undefined],
    ['a-b', undefined],
  ];
  for (const [header, expected] of rows) {
    it(`reads ${JSON.stringify(header)} as ${expected ? JSON.stringify(expected) : 'nonsense'}`, () => {
      expect(parseChunkRange(header)).to.deep.equal(expected);
    });
  }
});
