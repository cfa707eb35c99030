import { expect } from 'chai';
import fc from 'fast-check';
import { checkTwinLimits, fitTwinLimits, twinLimits } from '../../modules/registry/src/twin/twin-limits.ts';
import type { Json, JsonObject } from '../../modules/registry/src/twin/twin.ts';
import { reportedRefusal } from '../helpers/edgehub-rules.ts';

function nested(levels: number): JsonObject {
  return levels === 0 ? { leaf: 1 } : { a: nested(levels - 1) };
}

describe('fitTwinLimits()', () => {
  it('leaves a document within the limits as it is', () => {
    const document = { a: 'x'.repeat(4096), list: [1, 'two', { three: true }], n: 2 ** 52 - 1, deep: nested(9) };
    expect(fitTwinLimits(document)).to.deep.equal({ document, problems: [] });
  });

  const left: readonly (readonly [string, JsonObject, string])[] = [
    ['a dot in a key', { 'a.b': 1 }, '/a.b'],
    ['a space in a key', { 'a b': 1 }, '/a b'],
    ['a dollar in a key', { $a: 1 }, '/$a'],
    ['a hash in a key', { inner: { 'a#': 1 } }, '/inner/a#'],
    ['a key of more than 1 KB', { ['k'.repeat(1025)]: 1 }, `/${'k'.repeat(1025)}`],
    ['an integer that is too large', { n: 2 ** 52 }, '/n'],
    ['an integer that is too small', { n: -(2 ** 52) - 1 }, '/n'],
    ['a number that is none', { n: Infinity }, '/n'],
  ];
  for (const [what, document, path] of left) {
    it(`leaves out ${what} and says where`, () => {
      const fitted = fitTwinLimits({ ...document, good: 1 });
      expect(fitted.document).to.include({ good: 1 });
      expect(fitted.problems.map((problem) => problem.path)).to.deep.equal([path]);
      expect(checkTwinLimits(fitted.document)).to.deep.equal([]);
    });
  }

  it('leaves out what is deeper than ten levels', () => {
    expect(checkTwinLimits({ a: nested(9) })).to.deep.equal([]);
    expect(checkTwinLimits({ a: nested(10) })).to.have.length(1);
  });

  it('drops nulls without a word, in lists too', () => {
    expect(fitTwinLimits({ a: null, list: [null, { b: null }, 1] })).to.deep.equal({
      document: { list: [{}, 1] },
      problems: [],
    });
  });

  it('shortens a string to 4 KB without cutting a character', () => {
    const { document, problems } = fitTwinLimits({ text: '😀'.repeat(2000) });
    expect(problems.map(({ path }) => path)).to.deep.equal(['/text']);
    expect(Buffer.byteLength(document['text'] as string)).to.be.within(4089, 4096);
    expect(document['text']).to.match(/^(😀)+…$/u);
  });

  it('shortens the biggest list first where the whole is too big', () => {
    const rows = Array.from({ length: 4000 }, (_, index) => ({ name: `plant/image-${index}`, state: 'InSync' }));
    const { document, problems } = fitTwinLimits({ syncProgress: { repositories: rows, blobsDone: 3 }, small: [1, 2] });
    const kept = (document['syncProgress'] as { repositories: Json[] }).repositories;
    expect(kept.length).to.be.within(300, 3999);
    expect(kept[0]).to.deep.equal(rows[0]);
    expect(document).to.deep.include({ small: [1, 2] });
    expect(new Set(problems.map(({ path }) => path))).to.deep.equal(new Set(['/syncProgress/repositories']));
  });

  it('leaves out the biggest property where there is no list to shorten', () => {
    const big = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`k${index}`, 'x'.repeat(4000)]));
    const { document } = fitTwinLimits({ big, small: 1 });
    expect(document).to.deep.equal({ small: 1 });
  });

  it('makes of any document one that edgeHub takes', () =>
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 13 })), (value) => {
        const { document } = fitTwinLimits(JSON.parse(JSON.stringify(value)) as JsonObject);
        expect(reportedRefusal(document)).to.equal(undefined);
        expect(Buffer.byteLength(JSON.stringify(document))).to.be.at.most(twinLimits.sectionBytes);
      }),
    ));
});

describe('checkTwinLimits()', () => {
  it('says the size of a section that is too big, and what else is wrong in it, and cuts nothing', () => {
    const rows = Array.from({ length: 4000 }, (_, index) => ({ name: `plant/image-${index}` }));
    const problems = checkTwinLimits({ rows, 'a.b': 1 });
    expect(problems.map(({ path }) => path)).to.deep.equal(['', '/a.b']);
    expect(problems[0]!.message).to.match(/at most 32768 bytes .* found \d{5,}/);
  });
});
