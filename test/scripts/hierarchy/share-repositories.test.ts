import { expect } from 'chai';
import { shareRepositories } from '../../../scripts/hierarchy/share-repositories.ts';
import { hierarchyOf, layer, type LayerFields } from './files.ts';

const includeDescendants = true;
const share = (layers: readonly LayerFields[], more?: LayerFields) => shareRepositories(hierarchyOf(layers, more));

describe('shareRepositories()', () => {
  it('refuses a repository that an ancestor lacks, naming repository, ancestor and who needs it', () => {
    const { problems, added } = share([
      layer('plant7', { repositories: ['plant/*', 'connected-registry'] }),
      layer('line3', { name: 'line3', parent: 'plant7', repositories: ['plant/hello', 'tools'] }),
    ]);
    expect(problems).to.have.length(1);
    expect(problems[0]?.path).to.equal('/layers/0/repositories');
    expect(problems[0]?.message).to.match(/must contain tools for line3;/);
    expect(added).to.deep.equal([]);
  });

  it('refuses it of every ancestor up to the top', () => {
    const { problems } = share(
      [
        layer('first'),
        layer('second', { parent: 'first' }),
        layer('third', { parent: 'second', repositories: ['tools'] }),
      ],
      { deviceRepositories: [] },
    );
    expect(problems.map(({ path }) => path)).to.have.members(['/layers/0/repositories', '/layers/1/repositories']);
    for (const { message } of problems) expect(message).to.match(/must contain tools for third/);
  });

  it('adds to ancestors that include their descendants, and tells what, where and for whom', () => {
    const shares = share([
      layer('first', { includeDescendants }),
      layer('second', { parent: 'first', includeDescendants, repositories: ['plant/*'] }),
      layer('third', { parent: 'second', repositories: ['plant/hello', 'tools'] }),
    ]);
    expect(shares.problems).to.deep.equal([]);
    expect(shares.kept.get('second')).to.deep.equal(['plant/*', 'tools', 'connected-registry']);
    expect(shares.kept.get('first')).to.deep.equal(['plant/*', 'tools', 'connected-registry']);
    expect(shares.kept.get('third')).to.deep.equal(['plant/hello', 'tools']);
    expect(shares.added).to.deep.include.members([
      { layer: 'first', repository: 'plant/*', reason: 'second' },
      { layer: 'first', repository: 'tools', reason: 'third' },
      { layer: 'second', repository: 'connected-registry', reason: 'the device of third' },
    ]);
  });

  it('lets a child have what it keeps and what its device pulls', () => {
    const { wanted } = share([
      layer('plant7', { includeDescendants }),
      layer('line3', { parent: 'plant7', repositories: ['plant/hello'] }),
    ]);
    expect(wanted.get('line3')).to.deep.equal(['plant/hello', 'connected-registry']);
  });

  it('keeps the filters of a rule it adds, and drops those on which two layers differ', () => {
    const { kept } = share(
      [
        layer('plant7', { includeDescendants }),
        layer('line3', {
          parent: 'plant7',
          repositories: [{ name: 'press', tags: ['1.*'], platforms: ['linux/amd64'] }],
        }),
        layer('line4', {
          parent: 'plant7',
          repositories: [{ name: 'press', tags: ['2.*'], platforms: ['linux/amd64'] }],
        }),
        layer('line5', { parent: 'plant7', repositories: [{ name: 'tools', tags: ['1.*'] }] }),
      ],
      { deviceRepositories: [] },
    );
    expect(kept.get('plant7')).to.deep.equal([
      { name: 'press', platforms: ['linux/amd64'] },
      { name: 'tools', tags: ['1.*'] },
    ]);
  });

  it('notes a filter above that the layer below does not have', () => {
    const { notes, problems } = share(
      [
        layer('plant7', { repositories: [{ name: 'plant/*', tags: ['1.*'] }] }),
        layer('line3', { parent: 'plant7', repositories: ['plant/hello'] }),
      ],
      { deviceRepositories: [] },
    );
    expect(problems).to.deep.equal([]);
    expect(notes.map(({ message }) => message)).to.deep.equal([
      'keeps only some tags of plant/*; line3 gets no others of plant/hello',
    ]);
  });
});
