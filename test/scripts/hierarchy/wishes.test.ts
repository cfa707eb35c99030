import { expect } from 'chai';
import { readWishes } from '../../../scripts/hierarchy/wishes.ts';
import { hierarchyOf, layer } from './files.ts';

const clientTokens = [{ name: 'operator', actions: ['repositories/tools/content/read'] }];
const hierarchy = hierarchyOf([
  layer('plant7', { clientTokens }),
  layer('line3', { parent: 'plant7', clientTokens: [...clientTokens, { ...clientTokens[0], name: 'press' }] }),
]);

describe('readWishes()', () => {
  it('takes a layer as its sync token, a token by its name, and layer/token where several layers have it', () => {
    const wishes = readWishes(hierarchy, ['line3', 'press', 'line3/operator'], []);
    expect(wishes.problems).to.deep.equal([]);
    expect(wishes.sync('line3')).to.equal('rotate');
    expect(wishes.client('line3', 'press')).to.equal('rotate');
    expect(wishes.client('line3', 'operator')).to.equal('rotate');
    expect(wishes.client('plant7', 'operator')).to.equal('keep');
    expect(wishes.sync('plant7')).to.equal('keep');
  });

  for (const [what, rotate, retire] of [
    ['a name that several layers have', ['operator'], []],
    ['a name that nobody has', ['nobody'], []],
    ['a token to rotate and to retire', ['press'], ['line3/press']],
    ['the older password of a top layer, which is in the cloud', [], ['plant7']],
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(readWishes(hierarchy, rotate, retire).problems).to.have.length(1);
    });
  }
});
