import { expect } from 'chai';
import { diffDocuments } from '../../../scripts/hierarchy/diff-documents.ts';

describe('diffDocuments()', () => {
  it('names entries of lists, shows plain values, and shows no hash', () => {
    const token = (hash: string) => ({ name: 'line3', status: 'enabled', passwords: [{ name: 'password1', hash }] });
    const before = { mode: 'ReadOnly', repositories: ['plant/a', 'plant/b'], clientTokens: [token('$scrypt$old')] };
    const after = {
      mode: 'ReadWrite',
      repositories: ['plant/b', { name: 'plant/c', tags: ['1.*'] }],
      clientTokens: [{ ...token('$scrypt$new'), expiry: '2027-01-01T00:00:00Z' }],
      onDemand: false,
    };
    expect(diffDocuments(before, after)).to.deep.equal([
      { kind: 'changed', path: '/mode', before: 'ReadOnly', after: 'ReadWrite' },
      { kind: 'removed', path: '/repositories/plant/a' },
      { kind: 'changed', path: '/clientTokens/line3/passwords/password1' },
      { kind: 'added', path: '/repositories/plant/c' },
      { kind: 'added', path: '/repositories/plant/c/tags/1.*' },
      { kind: 'added', path: '/clientTokens/line3/expiry', after: '2027-01-01T00:00:00Z' },
      { kind: 'added', path: '/onDemand', after: false },
    ]);
  });

  it('finds nothing where only the order of a list differs', () => {
    expect(diffDocuments({ repositories: ['a', 'b'] }, { repositories: ['b', 'a'] })).to.deep.equal([]);
  });

  it('tells a rule that lost its filter from one that is gone', () => {
    const before = { repositories: [{ name: 'a', tags: ['1'] }] };
    expect(diffDocuments(before, { repositories: ['a'] })).to.deep.equal([
      { kind: 'removed', path: '/repositories/a/tags/1' },
    ]);
  });
});
