import { expect } from 'chai';
import type { ConnectionString } from '../../modules/registry/src/settings/environment.ts';
import { parseSettings, type SettingsContext } from '../../modules/registry/src/settings/parse-settings.ts';
import type { Problem, Settings } from '../../modules/registry/src/settings/settings.ts';
import { fullDocument } from './full-document.ts';

const dayMs = 86_400_000;

const connection: ConnectionString = {
  connectedRegistryName: 'plant7line3',
  syncToken: { name: 'from-string', password: 'p=w' },
  parentGatewayEndpoint: 'parent.local:8000',
  parentEndpointProtocol: 'http',
};

describe('parseSettings()', () => {
  it('fills every default, empty document', () => {
    expect(accepted({})).to.deep.equal({
      mode: 'ReadWrite',
      parent: undefined,
      repositories: [],
      clientTokens: [],
      scopeMaps: [],
      children: [],
      activation: { status: 'Active' },
      onDemand: false,
      transfer: { concurrency: 4, bytesPerSecond: 0, budgets: [] },
      removal: { maxPercent: 50, freeTags: 20 },
      storage: { quotaBytes: 0 },
      logging: { logLevel: 'Information', auditLogStatus: 'Disabled' },
      garbageCollection: { enabled: true, schedule: '0 5 * * *' },
      notificationsList: [],
    });
  });

  it('reads everything, full document', () => {
    const settings = accepted(fullDocument());
    expect(settings.parent).to.deep.equal({
      gatewayEndpoint: 'contoso.azurecr.io',
      protocol: 'https',
      syncToken: { name: 'plant7-sync', password: 'not-so-secret+/=' },
      syncProperties: { schedule: '0 22 * * *', syncWindowMs: 3 * 3_600_000, messageTtlMs: 2 * dayMs },
    });
    expect(settings.repositories).to.deep.equal([
      { name: 'plant/*', tags: [], platforms: [] },
      {
        name: 'azureiotedge-hub',
        tags: ['1.5*', '!*-rc*'],
        semver: '>=1.5 <2',
        platforms: [
          { os: 'linux', architecture: 'amd64' },
          { os: 'linux', architecture: 'arm', variant: 'v7' },
        ],
      },
    ]);
    expect(settings.clientTokens[0]?.passwords.map(({ expiry }) => expiry)).to.deep.equal([
      new Date('2027-01-01T00:00:00Z'),
      undefined,
    ]);
    expect(settings.scopeMaps[0]?.permissions).to.deep.equal([
      { kind: 'repository', pattern: 'plant/*', action: 'content/read' },
      { kind: 'repository', pattern: 'plant/*', action: 'metadata/read' },
      { kind: 'gateway', registry: 'plant7line3', action: 'message/read' },
    ]);
    expect(settings.children[0]?.syncToken).to.include({ name: 'plant7line3-sync', status: 'disabled' });
    expect(settings.children[0]?.syncToken.passwords).to.have.length(1);
  });

  it('leaves the document as it was and freezes the result', () => {
    const document = {};
    const settings = accepted(document);
    expect(document).to.deep.equal({});
    expect(settings).to.be.frozen;
    expect(settings.transfer).to.be.frozen;
    expect(accepted(fullDocument()).clientTokens[0]?.passwords[0]).to.be.frozen;
  });

  for (const document of [undefined, null, 1, 'text', []]) {
    it(`refuses ${document === undefined ? 'undefined' : JSON.stringify(document)}, which is no object`, () => {
      expect(refused(document).map(({ path }) => path)).to.deep.equal(['']);
    });
  }

  it('refuses __proto__ as a key', () => {
    expect(paths(JSON.parse('{"__proto__": {"mode": "ReadOnly"}}'))).to.deep.equal(['/__proto__']);
  });

  it('reports every problem at once, of schema and rules alike', () => {
    const document = {
      mode: 'Mirror',
      surprise: true,
      clientTokens: [{ name: 'line3', scopeMap: 'nowhere', status: 7 }],
      parent: { syncProperties: { schedule: '0 5 * * *' } },
    };
    expect(paths(document)).to.have.members([
      '/mode',
      '/surprise',
      '/clientTokens/0/status',
      '/clientTokens/0/scopeMap',
      '/parent/syncProperties/syncWindow',
    ]);
  });

  it('says a value of the wrong kind once', () => {
    expect(paths({ mode: 7 })).to.deep.equal(['/mode']);
  });

  it('escapes keys in pointers', () => {
    expect(paths({ 'a/b~c': 1 })).to.deep.equal(['/a~1b~0c']);
  });

  it('never shows a password or a hash', () => {
    const secret = 'Tr0ub4dor-secret';
    const passwords = [{ name: secret + ' !', hash: secret, expiry: secret }];
    const problems = refused({
      parent: { syncToken: { name: 'a b', password: [secret] } },
      clientTokens: [{ name: 'line3', scopeMap: 'none', passwords }],
      children: [{ name: 'plant7line3', syncToken: { name: 'sync', passwords } }],
    });
    expect(problems.length).to.be.greaterThan(6);
    expect(JSON.stringify(problems)).not.to.contain(secret);
  });

  describe('parent', () => {
    it('comes from the connection string, document without one', () => {
      expect(accepted({}, { connection }).parent).to.deep.equal({
        gatewayEndpoint: 'parent.local:8000',
        protocol: 'http',
        syncToken: connection.syncToken,
        syncProperties: { schedule: '* * * * *', syncWindowMs: undefined, messageTtlMs: 2 * dayMs },
      });
    });

    it('takes endpoint, protocol and credentials from the connection string, only syncProperties given', () => {
      const parent = { syncProperties: { messageTtl: 'P90D' } };
      expect(accepted({ parent }, { connection }).parent).to.deep.include({
        gatewayEndpoint: 'parent.local:8000',
        protocol: 'http',
        syncToken: connection.syncToken,
      });
    });

    it('does not carry http over to an endpoint of the document', () => {
      const parent = { gatewayEndpoint: 'contoso.azurecr.io' };
      expect(accepted({ parent }, { connection }).parent?.protocol).to.equal('https');
    });

    it('prefers the sync token of the document', () => {
      const syncToken = { name: 'new', password: 'new' };
      expect(accepted({ parent: { syncToken } }, { connection }).parent?.syncToken).to.deep.equal(syncToken);
    });

    it('is absent with a warning, no endpoint anywhere', () => {
      const parsed = parseSettings({ parent: { protocol: 'http' } });
      expect(parsed).to.have.nested.property('warnings[0].path', '/parent');
      expect(parsed.ok && parsed.settings.parent).to.equal(undefined);
    });

    it('replaces variables in the endpoint', () => {
      const parent = { gatewayEndpoint: '$IOTEDGE_PARENTHOSTNAME:8000' };
      const variables = { IOTEDGE_PARENTHOSTNAME: 'edge7' };
      expect(accepted({ parent }, { variables }).parent?.gatewayEndpoint).to.equal('edge7:8000');
    });

    it('names the variable that is not set', () => {
      const [problem] = refused({ parent: { gatewayEndpoint: '$NOWHERE:8000' } });
      expect(problem).to.include({ path: '/parent/gatewayEndpoint' });
      expect(problem?.message).to.contain('NOWHERE');
    });

    it('refuses a variable that makes no endpoint', () => {
      const parent = { gatewayEndpoint: '$HOST' };
      expect(paths({ parent }, { variables: { HOST: 'https://x' } })).to.deep.equal(['/parent/gatewayEndpoint']);
    });

    it('ignores a window beside the continuous schedule, with a warning', () => {
      const parsed = parseSettings({
        parent: { gatewayEndpoint: 'a.b', syncProperties: { schedule: '*  * * * *', syncWindow: 'PT1H' } },
      });
      expect(parsed).to.have.nested.property('warnings[0].path', '/parent/syncProperties/syncWindow');
      expect(parsed).to.have.nested.property('settings.parent.syncProperties.syncWindowMs', undefined);
    });
  });
});

function accepted(document: unknown, context: SettingsContext = {}): Settings {
  const parsed = parseSettings(document, context);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

function refused(document: unknown, context: SettingsContext = {}): readonly Problem[] {
  const parsed = parseSettings(document, context);
  if (parsed.ok) throw new Error('accepted');
  return parsed.problems;
}

function paths(document: unknown, context: SettingsContext = {}): string[] {
  return refused(document, context).map(({ path }) => path);
}
