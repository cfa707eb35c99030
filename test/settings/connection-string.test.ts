import { expect } from 'chai';
import fc from 'fast-check';
import { parseConnectionString } from '../../modules/registry/src/settings/connection-string.ts';

const parts = {
  ConnectedRegistryName: 'plant7',
  SyncTokenName: 'plant7-sync',
  SyncTokenPassword: 'a=b+/==',
  ParentGatewayEndpoint: 'contoso.westeurope.data.azurecr.io',
  ParentEndpointProtocol: 'https',
};
const write = (values: Readonly<Record<string, string | undefined>>): string =>
  Object.entries(values)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]))
    .join(';');

describe('parseConnectionString()', () => {
  it('reads what az prints, splitting at the first =', () => {
    expect(parseConnectionString(write(parts))).to.deep.equal({
      ok: true,
      connection: {
        connectedRegistryName: 'plant7',
        syncToken: { name: 'plant7-sync', password: 'a=b+/==' },
        parentGatewayEndpoint: 'contoso.westeurope.data.azurecr.io',
        parentEndpointProtocol: 'https',
      },
    });
  });

  it('takes https, no protocol given', () => {
    const parsed = parseConnectionString(write({ ...parts, ParentEndpointProtocol: undefined }));
    expect(parsed).to.have.nested.property('connection.parentEndpointProtocol', 'https');
  });

  it('takes any password without a semicolon as it is', () => {
    const passwords = fc
      .string({ minLength: 1 })
      .filter((text) => !text.includes(';') && !/^\$[A-Za-z_]\w*$/.test(text));
    fc.assert(
      fc.property(passwords, (password) => {
        const parsed = parseConnectionString(write({ ...parts, SyncTokenPassword: password }));
        expect(parsed).to.have.nested.property('connection.syncToken.password', password);
      }),
    );
  });

  it('replaces variables, also a whole password', () => {
    const text = write({ ...parts, ParentGatewayEndpoint: '$PARENT:8000', SyncTokenPassword: '$PASSWORD' });
    const parsed = parseConnectionString(text, { PARENT: 'edge7', PASSWORD: 'p$w' });
    expect(parsed).to.have.nested.property('connection.parentGatewayEndpoint', 'edge7:8000');
    expect(parsed).to.have.nested.property('connection.syncToken.password', 'p$w');
  });

  it('names a variable that is not set', () => {
    const parsed = parseConnectionString(write({ ...parts, ParentGatewayEndpoint: '$NOWHERE:8000' }));
    expect(parsed).to.have.nested.property('problems[0].path', '/ParentGatewayEndpoint');
    expect(JSON.stringify(parsed)).to.contain('NOWHERE');
  });

  const broken: readonly (readonly [string, string, string])[] = [
    ['a missing key', write({ ...parts, SyncTokenName: undefined }), '/SyncTokenName'],
    ['a key twice', `${write(parts)};SyncTokenName=x`, '/SyncTokenName'],
    ['an unknown key', `${write(parts)};ManagedIdentityClientId=x`, ''],
    ['a key in another case', write(parts).replace('SyncTokenName', 'synctokenname'), '/SyncTokenName'],
    ['a pair without =', `${write(parts)};whatever`, ''],
    ['an empty password', write({ ...parts, SyncTokenPassword: '' }), '/SyncTokenPassword'],
    [
      'a placeholder for the endpoint',
      write({ ...parts, ParentGatewayEndpoint: '<parent host>' }),
      '/ParentGatewayEndpoint',
    ],
    ['a strange protocol', write({ ...parts, ParentEndpointProtocol: 'ftp' }), '/ParentEndpointProtocol'],
    ['a registry name that is too short', write({ ...parts, ConnectedRegistryName: 'abc' }), '/ConnectedRegistryName'],
    ['nothing', '', '/ConnectedRegistryName'],
  ];
  for (const [what, text, path] of broken) {
    it(`refuses ${what}`, () => {
      const parsed = parseConnectionString(text);
      expect(!parsed.ok && parsed.problems.map((problem) => problem.path)).to.include(path);
    });
  }

  for (const password of ['Tr0ub4dor;and-more', '$Tr0ub4dor', 'Tr0ub4dor']) {
    it(`never shows the password, ${password.replace('Tr0ub4dor', '…')}`, () => {
      const parsed = parseConnectionString(write({ ...parts, SyncTokenPassword: password, SyncTokenName: 'a b' }));
      expect(parsed.ok).to.equal(false);
      expect(JSON.stringify(parsed)).not.to.match(/Tr0ub4dor|and-more/);
    });
  }
});
