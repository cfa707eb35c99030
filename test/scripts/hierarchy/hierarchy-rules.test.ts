import { expect } from 'chai';
import { brokenHierarchyRules, cloudLimits } from '../../../scripts/hierarchy/hierarchy-rules.ts';
import { hierarchyOf, layer, type LayerFields } from './files.ts';

const token = { name: 'line3', actions: ['repositories/plant/hello/content/read'] };

function brokenIn(layers: readonly LayerFields[], more: LayerFields = {}): string[] {
  return brokenHierarchyRules(hierarchyOf(layers, more)).map(({ path }) => path);
}

describe('brokenHierarchyRules()', () => {
  const refused: readonly (readonly [string, readonly LayerFields[], readonly string[]])[] = [
    [
      'two registries whose names differ by case only',
      [layer('plant7'), layer('Plant7', { device: 'other' })],
      ['/layers/1/name'],
    ],
    [
      'a device twice in one hub',
      [layer('plant7'), layer('plant8', { device: 'plant7-device' })],
      ['/layers/1/device'],
    ],
    ['an unknown parent', [layer('plant7', { parent: 'nobody' })], ['/layers/0/parent']],
    ['a layer that is its own parent', [layer('plant7', { parent: 'plant7' })], ['/layers/0/parent']],
    [
      'parents in a circle, and not the layer that hangs below it',
      [
        layer('plant7', { parent: 'plant8' }),
        layer('plant8', { parent: 'plant7' }),
        layer('plant9', { parent: 'plant8' }),
      ],
      ['/layers/0/parent', '/layers/1/parent'],
    ],
    [
      'a ReadWrite layer below a ReadOnly one',
      [layer('plant7'), layer('plant8', { parent: 'plant7', mode: 'ReadWrite' })],
      ['/layers/1/mode'],
    ],
    [
      'a parent without a gateway host name',
      [layer('plant7', { gateway: {} }), layer('plant8', { parent: 'plant7' })],
      ['/layers/0/gateway/hostName'],
    ],
    ['a token twice', [layer('plant7', { clientTokens: [token, token] })], ['/layers/0/clientTokens/1/name']],
    [
      'a client token with the name of a child, whose sync token has it',
      [layer('plant7', { clientTokens: [{ ...token, name: 'plant8' }] }), layer('plant8', { parent: 'plant7' })],
      ['/layers/0/clientTokens/0/name'],
    ],
    [
      'a token without permissions',
      [layer('plant7', { clientTokens: [{ name: 'line3' }] })],
      ['/layers/0/clientTokens/0'],
    ],
    [
      'a token with actions and a scope map',
      [layer('plant7', { clientTokens: [{ ...token, scopeMap: 'all' }], scopeMaps: [{ name: 'all', actions: [] }] })],
      ['/layers/0/clientTokens/0'],
    ],
    [
      'an unknown scope map',
      [layer('plant7', { clientTokens: [{ name: 'line3', scopeMap: 'all' }] })],
      ['/layers/0/clientTokens/0/scopeMap'],
    ],
    [
      'actions of a token whose name a scope map has',
      [layer('plant7', { clientTokens: [token], scopeMaps: [{ name: 'line3', actions: [] }] })],
      ['/layers/0/clientTokens/0/actions'],
    ],
    ['settings that are computed', [layer('plant7', { settings: { mode: 'ReadOnly' } })], ['/layers/0/settings/mode']],
    [
      'a variable that is no string',
      [layer('plant7', { variables: { EDGE_RUNTIME_VERSION: 1.6 } })],
      ['/layers/0/variables/EDGE_RUNTIME_VERSION'],
    ],
  ];
  for (const [what, layers, paths] of refused) {
    it(`refuses ${what}`, () => {
      expect(brokenIn(layers)).to.deep.equal(paths);
    });
  }

  it('refuses a layer whose IoT Hub is nowhere said', () => {
    expect(brokenIn([layer('plant7')], { iotHub: undefined })).to.deep.equal(['/layers/0/iotHub']);
  });

  it('accepts several top layers, a device name in two hubs, a token name at two registries, and ReadWrite below ReadWrite', () => {
    const layers = [
      layer('plant7', { mode: 'ReadWrite', clientTokens: [token] }),
      layer('plant8', { clientTokens: [token], device: 'plant7-device', iotHub: 'other' }),
      layer('plant9', { parent: 'plant7', mode: 'ReadWrite' }),
    ];
    expect(brokenIn(layers)).to.deep.equal([]);
  });
});

describe('cloudLimits()', () => {
  it('allows 20,000 top layers, and refuses one more for tokens and for scope maps', () => {
    expect(cloudLimits(20_000)).to.deep.equal([]);
    expect(cloudLimits(20_001)).to.have.length(2);
  });
});
