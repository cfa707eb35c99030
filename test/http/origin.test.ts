import { expect } from 'chai';
import { isAddressedTo } from '../../modules/registry/src/http/origin.ts';

describe('isAddressedTo()', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['edge.plant.local', 'edge.plant.local', true],
    ['edge.plant.local', 'EDGE.plant.local:443', true],
    ['edge.plant.local:80', 'edge.plant.local', true],
    ['edge.plant.local:8000', 'edge.plant.local:8000', true],
    ['edge.plant.local:8000', 'edge.plant.local', false],
    ['edge.plant.local', 'edge.plant.local:8000', false],
    ['edge.plant.local', 'other.plant.local', false],
  ];
  for (const [loginServer, host, expected] of cases) {
    it(`is ${expected} for ${host} at ${loginServer}`, () => {
      expect(isAddressedTo(loginServer, host)).to.equal(expected);
    });
  }
});
