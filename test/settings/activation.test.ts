import { expect } from 'chai';
import { decideActivation } from '../../modules/registry/src/settings/activation.ts';

describe('decideActivation()', () => {
  const rows = [
    ['nothing reported', 'Active', undefined, { state: 'active' }],
    ['null reported', 'Active', null, { state: 'active' }],
    ['our own', 'Active', { status: 'Active', instanceId: 'us' }, { state: 'active' }],
    ['another instance', 'Active', { status: 'Active', instanceId: 'them' }, { state: 'held', by: 'them' }],
    ['another instance that let go', 'Active', { status: 'Inactive', instanceId: 'them' }, { state: 'active' }],
    ['no instance named', 'Active', { status: 'Active' }, { state: 'active' }],
    ['rubbish', 'Active', 'Active', { state: 'active' }],
    ['our own, deactivated', 'Inactive', { status: 'Active', instanceId: 'us' }, { state: 'inactive' }],
    ['another instance, deactivated', 'Inactive', { status: 'Active', instanceId: 'them' }, { state: 'inactive' }],
  ] as const;
  for (const [what, desired, reported, expected] of rows) {
    it(`is ${expected.state}, ${what}`, () => {
      expect(decideActivation({ desired, reported, instanceId: 'us' })).to.deep.equal(expected);
    });
  }
});
