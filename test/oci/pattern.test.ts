import { expect } from 'chai';
import fc from 'fast-check';
import {
  coversPattern,
  isExact,
  matchesGlob,
  matchesPattern,
  parseRepositoryPattern,
  type RepositoryPattern,
} from '../../modules/registry/src/oci/pattern.ts';
import { parseRepositoryName } from '../../modules/registry/src/oci/names.ts';
import { repository } from '../helpers/names.ts';

function pattern(text: string): RepositoryPattern {
  const parsed = parseRepositoryPattern(text);
  if (parsed === undefined) throw new Error(`${JSON.stringify(text)} is not a pattern`);
  return parsed;
}

/** Few letters, so that things match. */
const pieces = fc
  .array(fc.constantFrom('a', 'b', '/', '*'), { minLength: 1, maxLength: 7 })
  .map((list) => list.join(''));
const somePattern = pieces.filter((text) => parseRepositoryPattern(text) !== undefined).map(pattern);
const someName = fc
  .array(fc.constantFrom('a', 'b', '/'), { minLength: 1, maxLength: 8 })
  .map((list) => list.join(''))
  .filter((text) => parseRepositoryName(text) !== undefined)
  .map(repository);

/** The plain meaning of a pattern, as a regular expression. */
function asExpression(glob: string): RegExp {
  const literal = glob.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`, 's');
}

describe('parseRepositoryPattern()', () => {
  for (const text of ['plant/hello', 'plant/*', '*', '*/hello', 'plant*', 'a-*', 'a/*/b', '**']) {
    it(`accepts ${text}`, () => expect(parseRepositoryPattern(text)).to.equal(text));
  }
  for (const text of ['', '/', '/*', '*/', 'Plant/*', 'plant/ *', '../*', '*/../*', 'plant//*', '*:*', '-*', '*?']) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseRepositoryPattern(text)).to.equal(undefined));
  }

  it('tells a name from a pattern', () => {
    expect(isExact(pattern('plant/hello'))).to.equal(true);
    expect(isExact(pattern('plant/*'))).to.equal(false);
  });
});

describe('matchesGlob()', () => {
  const rows = [
    ['plant/*', 'plant/hello', true],
    ['plant/*', 'plant', false],
    ['*', 'anything/at/all', true],
    ['1.5*', '1.5.3', true],
    ['1.5*', '1x5', false],
    ['*-rc*', '1.5-rc1', true],
    ['*-rc*', '1.5', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-b-c', true],
    ['*ab*ab', 'ab', false],
    ['', '', true],
    ['*', '', true],
  ] as const;
  for (const [glob, text, expected] of rows) {
    it(`says ${expected} for ${JSON.stringify(glob)} and ${JSON.stringify(text)}`, () => {
      expect(matchesGlob(glob, text)).to.equal(expected);
    });
  }

  it('means what its regular expression means', () => {
    const text = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 8 }).map((list) => list.join(''));
    const glob = fc.array(fc.constantFrom('a', 'b', '.', '*'), { maxLength: 7 }).map((list) => list.join(''));
    fc.assert(
      fc.property(
        glob,
        text,
        (one, other) => void expect(matchesGlob(one, other)).to.equal(asExpression(one).test(other)),
      ),
      { numRuns: 2000 },
    );
  });

  it('takes no exponential time', function () {
    this.timeout(1000);
    expect(matchesGlob(`${'*a'.repeat(1000)}*b`, 'a'.repeat(10_000))).to.equal(false);
  });
});

describe('matchesPattern()', () => {
  it('matches slashes too, and an exact name only itself', () => {
    expect(matchesPattern(pattern('plant/*'), repository('plant/line3/hello'))).to.equal(true);
    expect(matchesPattern(pattern('plant/hello'), repository('plant/hello'))).to.equal(true);
    expect(matchesPattern(pattern('plant/hello'), repository('plant/hello2'))).to.equal(false);
  });
});

describe('coversPattern()', () => {
  const rows = [
    ['*', 'plant/*', true],
    ['plant/*', 'plant/*', true],
    ['plant/*', 'plant/line3/*', true],
    ['plant/*', 'plant/hello', true],
    ['plant/line3/*', 'plant/*', false],
    ['plant/hello', 'plant/*', false],
    ['plant/*', '*', false],
    ['plant/*', 'plant*', false],
    ['*/hello', 'plant/*/hello', true],
  ] as const;
  for (const [outer, inner, expected] of rows) {
    it(`says ${expected} for ${outer} over ${inner}`, () => {
      expect(coversPattern(pattern(outer), pattern(inner))).to.equal(expected);
    });
  }

  it('is sound: what a covered pattern matches, the covering one matches', () => {
    let matched = 0;
    fc.assert(
      fc.property(somePattern, somePattern, someName, (outer, inner, name) => {
        fc.pre(coversPattern(outer, inner) && matchesPattern(inner, name));
        matched++;
        expect(matchesPattern(outer, name)).to.equal(true);
      }),
      { numRuns: 500, maxSkipsPerRun: 1000 },
    );
    expect(matched).to.be.at.least(500);
  });

  it('is transitive and covers itself', () => {
    fc.assert(
      fc.property(somePattern, somePattern, somePattern, (one, two, three) => {
        expect(coversPattern(one, one)).to.equal(true);
        if (coversPattern(one, two) && coversPattern(two, three)) expect(coversPattern(one, three)).to.equal(true);
      }),
      { numRuns: 1000 },
    );
  });
});
