import { expect } from 'chai';
import type { Environment } from '../../modules/registry/src/settings/environment.ts';
import { environmentTable, readEnvironment } from '../../modules/registry/src/settings/read-environment.ts';

const connectionString =
  'ConnectedRegistryName=plant7;SyncTokenName=sync;SyncTokenPassword=Tr0ub4dor;ParentGatewayEndpoint=contoso.azurecr.io';
const edge = { IOTEDGE_WORKLOADURI: 'unix:///w.sock', IOTEDGE_DEVICEID: 'edge7', IOTEDGE_MODULEID: 'registry' };

describe('readEnvironment()', () => {
  it('fills the defaults, outside a container', () => {
    expect(read({})).to.deep.equal({
      connection: undefined,
      loginServer: undefined,
      dataVolume: './data',
      certificateVolume: '/var/acr/certs',
      settingsFile: undefined,
      iotEdge: false,
      httpPort: 8080,
      httpsPort: 8443,
      metricsPort: 9600,
      bindAddress: '127.0.0.1',
      trustedProxies: ['loopback', 'linklocal', 'uniquelocal'],
      runtimeLogLevel: undefined,
    });
  });

  it('listens on every address, in a container', () => {
    const inContainer = { dataVolume: '/var/acr/data', bindAddress: '0.0.0.0' };
    expect(read({}, { inContainer: true })).to.deep.include(inContainer);
    expect(read(edge)).to.deep.include(inContainer);
  });

  it('reads every variable', () => {
    expect(
      read({
        ACR_REGISTRY_LOGIN_SERVER: '192.168.0.100:8080',
        ACR_REGISTRY_DATA_VOLUME: '/data',
        ACR_REGISTRY_CERTIFICATE_VOLUME: '/certs',
        ACR_REGISTRY_SETTINGS_FILE: '/settings.jsonc',
        ACR_REGISTRY_HTTP_PORT: '0',
        ACR_REGISTRY_HTTPS_PORT: 'off',
        ACR_REGISTRY_METRICS_PORT: '9700',
        ACR_REGISTRY_BIND_ADDRESS: '::',
        ACR_REGISTRY_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
        RuntimeLogLevel: 'Debug',
      }),
    ).to.deep.include({
      loginServer: '192.168.0.100:8080',
      dataVolume: '/data',
      certificateVolume: '/certs',
      settingsFile: '/settings.jsonc',
      httpPort: 0,
      httpsPort: 'off',
      metricsPort: 9700,
      bindAddress: '::',
      trustedProxies: ['10.0.0.0/8', '::1'],
      runtimeLogLevel: 'debug',
    });
  });

  it('takes an empty variable for none', () => {
    expect(read({ ACR_REGISTRY_HTTP_PORT: '', ACR_REGISTRY_CONNECTION_STRING: ' ' })).to.deep.equal(read({}));
  });

  for (const [what, variables, expected] of [
    ['the three IOTEDGE_* variables', edge, true],
    ['EdgeHubConnectionString', { EdgeHubConnectionString: 'HostName=…' }, true],
    ['a part of them', { ...edge, IOTEDGE_MODULEID: undefined }, false],
  ] as const) {
    it(`says iotEdge ${expected} for ${what}`, () => expect(read(variables).iotEdge).to.equal(expected));
  }

  it('overrides the parent endpoint, variables replaced', () => {
    const { connection } = read({
      ACR_REGISTRY_CONNECTION_STRING: connectionString,
      ACR_PARENT_GATEWAY_ENDPOINT: '$IOTEDGE_PARENTHOSTNAME:8000',
      IOTEDGE_PARENTHOSTNAME: 'edge7',
    });
    expect(connection?.parentGatewayEndpoint).to.equal('edge7:8000');
  });

  for (const [name, value] of [
    ['ACR_REGISTRY_HTTP_PORT', '65536'],
    ['ACR_REGISTRY_HTTPS_PORT', 'on'],
    ['ACR_REGISTRY_METRICS_PORT', '-1'],
    ['ACR_REGISTRY_LOGIN_SERVER', 'https://registry'],
    ['ACR_REGISTRY_BIND_ADDRESS', '1.2.3'],
    ['ACR_REGISTRY_TRUSTED_PROXIES', '10.0.0.0/33'],
    ['ACR_REGISTRY_TRUSTED_PROXIES', 'loopback,,'],
    ['ACR_PARENT_GATEWAY_ENDPOINT', 'parent:8000'],
    ['ACR_PARENT_GATEWAY_ENDPOINT', '$NOWHERE'],
  ] as const) {
    it(`refuses ${value} as ${name}`, () => expect(problemPaths({ [name]: value })).to.include(`/${name}`));
  }

  it('refuses a settings file under IoT Edge', () => {
    expect(problemPaths({ ...edge, ACR_REGISTRY_SETTINGS_FILE: 'x' })).to.deep.equal(['/ACR_REGISTRY_SETTINGS_FILE']);
  });

  it('reports every problem, and none with the password', () => {
    const result = readEnvironment({
      ACR_REGISTRY_CONNECTION_STRING: connectionString.replace('=plant7', '=x').replace('=sync', '=a b'),
      ACR_REGISTRY_HTTP_PORT: 'Tr0ub4dor',
    });
    expect(!result.ok && result.problems.map(({ path }) => path)).to.deep.equal([
      '/ACR_REGISTRY_CONNECTION_STRING/ConnectedRegistryName',
      '/ACR_REGISTRY_CONNECTION_STRING/SyncTokenName',
      '/ACR_REGISTRY_HTTP_PORT',
    ]);
    expect(JSON.stringify(result)).not.to.contain('Tr0ub4dor');
  });
});

describe('environmentTable', () => {
  it('names each variable once and gives each a meaning', () => {
    expect(new Set(environmentTable.map(({ name }) => name)).size).to.equal(environmentTable.length);
    expect(environmentTable.filter(({ meaning }) => (meaning as string) === '')).to.deep.equal([]);
  });
});

function read(variables: Record<string, string | undefined>, options?: { inContainer?: boolean }): Environment {
  const result = readEnvironment(variables, options);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.environment;
}

function problemPaths(variables: Record<string, string | undefined>): string[] {
  const result = readEnvironment(variables);
  return result.ok ? [] : result.problems.map(({ path }) => path);
}
