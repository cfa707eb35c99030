import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { readHierarchy } from '../../../scripts/hierarchy/read-hierarchy.ts';
import { fileOf, hierarchyOf, layer, problemsOf } from './files.ts';

const yaml = `cloud:
  loginServer: contoso.azurecr.io
layers:
  - name: plant7
    mode: ReadOnly
    device: gateway7
    colour: red
  - name: p8
    mode: Readonly
    device: 7
    sync: { schedule: often }
    settings: 5
`;

describe('readHierarchy()', () => {
  it('fills in what the file leaves out', () => {
    const { cloud, deviceRepositories, layers } = hierarchyOf([layer('plant7', { gateway: {} })], {
      deviceRepositories: undefined,
    });
    expect(cloud).to.deep.equal({ loginServer: 'contoso.azurecr.io', kind: 'acr', protocol: 'https' });
    expect(deviceRepositories).to.include.members(['azureiotedge-agent', 'azureiotedge-hub', 'connected-registry']);
    expect(layers[0]).to.deep.include({
      parent: undefined,
      iotHub: 'hub',
      platform: 'amd64',
      repositories: [],
      includeDescendants: false,
      gateway: { hostName: undefined, port: 8000, protocol: 'https' },
    });
  });

  it('takes the platform of the layer, else of the command line, else of the file', () => {
    const layers = [layer('plant7', { platform: 'arm32v7' }), layer('plant8')];
    const read = readHierarchy(fileOf(layers, { platform: 'amd64' }), { platform: 'arm64v8' });
    expect(read.ok && read.hierarchy.layers.map(({ platform }) => platform)).to.deep.equal(['arm32v7', 'arm64v8']);
  });

  it('leaves what is written as it is: no defaults of the settings get into the documents', () => {
    const repositories = ['plant/*', { name: 'tools', tags: ['1.*'] }];
    const { layers } = hierarchyOf([layer('plant7', { repositories, sync: { messageTtl: 'P3D' } })]);
    expect(layers[0]).to.deep.include({ repositories, sync: { messageTtl: 'P3D' } });
  });

  it('tells every problem with its path and the line of its key', () => {
    const told = problemsOf(yaml).map(({ path, line }) => `${path} ${String(line)}`);
    expect(told).to.have.members([
      '/layers/0/colour 7',
      '/layers/1/name 8',
      '/layers/1/mode 9',
      '/layers/1/device 10',
      '/layers/1/sync/schedule 11',
      '/layers/1/settings 12',
    ]);
  });

  it('names the line of the layer for a key that is missing', () => {
    const missing = 'cloud: { loginServer: contoso.azurecr.io }\nlayers:\n  - { name: plant7, mode: ReadOnly }\n';
    expect(problemsOf(missing)[0]).to.include({ path: '/layers/0/device', message: 'is required', line: 3 });
  });

  for (const [what, text, line] of [
    ['a key twice', 'cloud: 1\ncloud: 2\n', 2],
    ['a list that does not end', 'cloud:\n  a: [1,\nlayers: 2\n', 3],
  ] as const) {
    it(`refuses ${what}, with its line`, () => {
      expect(problemsOf(text)[0]).to.include({ path: '', line });
    });
  }

  for (const text of ['', '5', '[]', 'null', '# nothing\n']) {
    it(`refuses ${JSON.stringify(text)} instead of a hierarchy`, () => {
      expect(problemsOf(text)).not.to.be.empty;
    });
  }

  it('accepts the example', async () => {
    const example = await readFile(new URL('../../../scripts/hierarchy.example.yaml', import.meta.url), 'utf8');
    expect(problemsOf(example)).to.deep.equal([]);
  });
});
