import { expect } from 'chai';
import fc from 'fast-check';
import { accessOf } from '../../modules/registry/src/auth/access.ts';
import type { Principal } from '../../modules/registry/src/auth/principals.ts';
import { grantScopes, parseScope, parseScopes } from '../../modules/registry/src/auth/scope.ts';
import { parsePermission, repositoryActions } from '../../modules/registry/src/settings/permission.ts';
import { repository } from '../helpers/names.ts';

function principal(...actions: string[]): Principal {
  const permissions = actions.map((action) => parsePermission(action)!);
  expect(permissions).not.to.include(undefined);
  return { name: 'line3', kind: 'client-token', passwords: [], permissions };
}

describe('parseScope()', () => {
  const rows = [
    ['repository:plant/hello:pull', 'repository', 'plant/hello', ['pull']],
    ['repository:plant/hello:pull,push', 'repository', 'plant/hello', ['pull', 'push']],
    ['repository:host:5000/hello:pull', 'repository', 'host:5000/hello', ['pull']],
    ['repository(plugin):plant/hello:pull', 'repository', 'plant/hello', ['pull']],
    ['registry:catalog:*', 'registry', 'catalog', ['*']],
    ['repository:plant/hello:metadata_read,metadata_read', 'repository', 'plant/hello', ['metadata_read']],
  ] as const;
  for (const [text, type, name, actions] of rows) {
    it(`reads ${text}`, () => expect(parseScope(text)).to.deep.equal({ type, name, actions: [...actions] }));
  }

  for (const text of ['', 'repository', 'repository:hello', ':hello:pull', 'repository::pull', 'repository:hello:']) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseScope(text)).to.equal(undefined));
  }
  for (const text of [
    'Repository:a:pull',
    'repository:a b:pull',
    'repository:a:pull,,push',
    'repository:a:pull push',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseScope(text)).to.equal(undefined));
  }

  it('reads back what it wrote', () => {
    const word = fc.constantFrom('pull', 'push', 'delete', 'metadata_read', '*');
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9]+$/),
        fc.stringMatching(/^[a-z0-9:/._-]+$/),
        fc.uniqueArray(word, { minLength: 1 }),
        (type, name, actions) => {
          expect(parseScope(`${type}:${name}:${actions.join(',')}`)).to.deep.equal({ type, name, actions });
        },
      ),
    );
  });

  it('takes linear time, whatever it is given', function () {
    this.timeout(1000);
    for (const text of [':', 'a:', 'a,', ':a,'].map((part) => `repository:${part.repeat(50_000)}!`)) {
      expect(parseScope(text)).to.equal(undefined);
    }
  });
});

describe('parseScopes()', () => {
  it('takes repeated and merged scopes, and leaves out what is none', () => {
    const scopes = parseScopes(['repository:a:pull repository:b:pull', 'registry:catalog:*', 'nonsense', '']);
    expect(scopes.map(({ name }) => name)).to.deep.equal(['a', 'b', 'catalog']);
  });
});

describe('grantScopes()', () => {
  const grant = (owner: Principal, ...texts: string[]): string[] =>
    grantScopes(parseScopes(texts), accessOf(owner)).map((s) => `${s.type}:${s.name}:${s.actions.join(',')}`);
  const all = repositoryActions.map((action) => `repositories/plant/*/${action}`);

  const rows: readonly (readonly [string, Principal, string, readonly string[]])[] = [
    ['pull with read', principal(...all), 'repository:plant/a:pull', ['repository:plant/a:pull,metadata_read']],
    ['pull outside', principal(...all), 'repository:other:pull', []],
    [
      'pull,push with content only',
      principal('repositories/plant/*/content/read', 'repositories/plant/*/content/write'),
      'repository:plant/a:pull,push',
      ['repository:plant/a:pull,push'],
    ],
    [
      'pull,push with read only',
      principal('repositories/*/content/read'),
      'repository:a:pull,push',
      ['repository:a:pull'],
    ],
    [
      'pull with metadata only',
      principal('repositories/*/metadata/read'),
      'repository:a:pull',
      ['repository:a:metadata_read'],
    ],
    [
      'everything',
      principal(...all),
      'repository:plant/a:*',
      ['repository:plant/a:pull,push,delete,metadata_read,metadata_write'],
    ],
    ['delete', principal(...all), 'repository:plant/a:delete', ['repository:plant/a:delete']],
    ['an unknown word', principal(...all), 'repository:plant/a:deleted_read', []],
    ['a name with a host', principal('repositories/*/content/read'), 'repository:host:5000/a:pull', []],
    ['the catalog', principal(...all), 'registry:catalog:*', ['registry:catalog:*']],
    ['the catalog without metadata', principal('repositories/*/content/read'), 'registry:catalog:*', []],
    ['another registry scope', principal(...all), 'registry:keys:*', []],
    ['an unknown type', principal(...all), 'artifact:plant/a:pull', []],
    [
      'a gateway',
      principal('gateway/plant7line3/message/read'),
      'gateway:Plant7Line3:*',
      ['gateway:Plant7Line3:message_read'],
    ],
    ['a foreign gateway', principal('gateway/plant7line3/message/read'), 'gateway:plant8:*', []],
  ];
  for (const [what, owner, asked, granted] of rows) {
    it(`gives ${granted.join() || 'nothing'}, asked for ${what}`, () => {
      expect(grant(owner, asked)).to.deep.equal(granted);
    });
  }

  it('gives a token that allows what was asked and its owner may, and nothing else', () => {
    const words = ['pull', 'push', 'delete', 'metadata_read', 'metadata_write', '*'];
    fc.assert(
      fc.property(fc.subarray([...repositoryActions]), fc.subarray(words), (permitted, asked) => {
        const owner = principal(...permitted.map((action) => `repositories/plant/*/${action}`));
        const scopes = grantScopes([{ type: 'repository', name: 'plant/a', actions: asked }], accessOf(owner));
        const narrowed = accessOf(owner, scopes);
        for (const action of repositoryActions) {
          const isAsked = asked.includes('*') || asked.some((word) => meaning[word]?.includes(action));
          expect(narrowed.allows(repository('plant/a'), action)).to.equal(isAsked && permitted.includes(action));
          expect(narrowed.allows(repository('plant/b'), action)).to.equal(false);
        }
        expect(narrowed.allowsCatalog).to.equal(false);
      }),
    );
  });
});

const meaning: Record<string, readonly string[]> = {
  pull: ['content/read', 'metadata/read'],
  push: ['content/write', 'metadata/write'],
  delete: ['content/delete'],
  metadata_read: ['metadata/read'],
  metadata_write: ['metadata/write'],
};
