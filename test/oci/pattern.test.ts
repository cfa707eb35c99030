import { expect } from 'chai';
import { matchesGlob } from '../../modules/registry/src/oci/pattern.ts';

describe('matchesGlob()', () => {
  const rows = [
    ['plant/*', 'plant/hello', true],
    ['plant/*', 'plant', false],
    ['*', 'anything/at/all', true],
    ['1.5*', '1.5.3', true],
    ['*-rc*', '1.5-rc1', true],
    ['*-rc*', '1.5', false],
    ['a*a', 'a', false],
    ['a*b*c', 'a-b-b-c', true],
  ] as const;
  for (const [glob, text, expected] of rows) {
    it(`says ${expected} for ${glob} and ${text}`, () => expect(matchesGlob(glob, text)).to.equal(expected));
  }
});
