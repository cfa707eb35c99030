import { expect } from 'chai';
import { readSection, stepDesired } from '../../modules/registry/src/twin/desired-document.ts';

describe('readSection()', () => {
  it('takes the version apart from the properties', () => {
    expect(readSection({ a: 1, $version: 3, $metadata: {} })).to.deep.equal({ version: 3, properties: { a: 1 } });
  });

  for (const nothing of [undefined, null, 'text', [1]]) {
    it(`knows no version of ${JSON.stringify(nothing)}`, () => {
      expect(readSection(nothing)).to.deep.equal({ version: undefined, properties: {} });
    });
  }
});

describe('stepDesired()', () => {
  const held = { version: 4, properties: { a: 1, l: [1, 2] } };
  const rows = [
    ['the next version', { l: [9], a: null, $version: 5 }, { kind: 'next', version: 5, properties: { l: [9] } }],
    ['the version held', { a: 2, $version: 4 }, { kind: 'known' }],
    ['an older version', { a: 2, $version: 1 }, { kind: 'known' }],
    ['no version', { a: 2 }, { kind: 'known' }],
    ['a version after the next', { a: 2, $version: 6 }, { kind: 'gap' }],
  ] as const;
  for (const [what, patch, step] of rows) {
    it(`says ${step.kind} for ${what}`, () => expect(stepDesired(held, patch)).to.deep.equal(step));
  }

  it('says gap while nothing is held', () => {
    expect(stepDesired({ version: undefined, properties: {} }, { $version: 1 })).to.deep.equal({ kind: 'gap' });
  });
});
