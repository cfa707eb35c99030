import { expect } from 'chai';
import { checkDeployment } from '../../../scripts/deployment/check-deployment.ts';
import { changed, renderSample, type TemplateName } from './samples.ts';

const content = ['modulesContent'];
const agent = [...content, '$edgeAgent', 'properties.desired'];
const hub = [...content, '$edgeHub', 'properties.desired'];
const modules = [...agent, 'modules'];
const registry = [...modules, 'connectedregistry'];
const proxy = [...modules, 'IoTEdgeAPIProxy'];
const settings = [...registry, 'settings'];
const environment = [...registry, 'env'];
const connection = [...environment, 'ACR_REGISTRY_CONNECTION_STRING', 'value'];
const credentials = [...agent, 'runtime', 'settings', 'registryCredentials', 'cloud'];
const routes = [...hub, 'routes'];
const desired = [...content, 'connectedregistry', 'properties.desired'];
const secret = 'correct-horse-battery-staple';

/** One key for each letter from `first` to `last`. */
function levels(first: string, last: string): readonly string[] {
  const [from, to] = [first.charCodeAt(0), last.charCodeAt(0)];
  return Array.from({ length: to - from + 1 }, (_, index) => String.fromCharCode(from + index));
}

/** What is changed, where, into what; where the problem is, if elsewhere; what it says. */
type Case = readonly [string, readonly (string | number)[], unknown, readonly (string | number)[] | undefined, RegExp];

const refused: readonly Case[] = [
  // The manifest's shape
  ['an unknown key at the top', ['content'], {}, undefined, /is not known here; known: modulesContent/],
  ['no edgeHub', [...content, '$edgeHub'], undefined, undefined, /is required/],
  ['a part with a name no module can have', [...content, 'a b'], {}, undefined, /is not known here/],
  [
    'an unknown section of a module',
    [...desired.slice(0, 2), 'properties.reported'],
    {},
    undefined,
    /is not known here/,
  ],
  ['a section that is a list', desired, [], undefined, /must be an object, found a list/],
  ['an edgeAgent schema that does not exist', [...agent, 'schemaVersion'], '1.4', undefined, /must be one of 1\.1/],
  ['an edgeHub schema that does not exist', [...hub, 'schemaVersion'], '1.6', undefined, /must be one of 1\.1, 1\.2/],
  ['no runtime', [...agent, 'runtime'], undefined, undefined, /is required/],
  ['no edgeAgent module', [...agent, 'systemModules', 'edgeAgent'], undefined, undefined, /is required/],
  [
    'an edgeHub that stops',
    [...agent, 'systemModules', 'edgeHub', 'restartPolicy'],
    'never',
    undefined,
    /one of always/,
  ],
  [
    'a time to live below zero',
    [...hub, 'storeAndForwardConfiguration', 'timeToLiveSecs'],
    -1,
    undefined,
    /at least 0/,
  ],
  // Modules
  ['an unknown key of a module', [...registry, 'startOrder'], 1, undefined, /is not known here; known: .*startupOrder/],
  ['a restart policy that does not exist', [...registry, 'restartPolicy'], 'unless-stopped', undefined, /one of never/],
  ['a status that does not exist', [...registry, 'status'], 'paused', undefined, /one of running, stopped/],
  ['no settings', [...registry, 'settings'], undefined, undefined, /is required/],
  ['no image', [...settings, 'image'], undefined, undefined, /is required/],
  ['an image that is empty', [...settings, 'image'], '', undefined, /must be a string that is not empty/],
  ['an image with a space', [...settings, 'image'], 'a b:1', undefined, /must be an image reference/],
  ['$upstream without a port', [...settings, 'image'], '$upstream/a:1', undefined, /a port must follow/],
  ['an image that is a number', [...settings, 'image'], 7, undefined, /must be a string, found a number/],
  [
    'a start order of words',
    [...registry, 'startupOrder'],
    'first',
    undefined,
    /must be a whole number, found a string/,
  ],
  ['a variable without value', [...environment, 'A'], {}, [...environment, 'A', 'value'], /is required/],
  ['a variable IoT Edge refuses', [...environment, 'A.B'], { value: '1' }, undefined, /is not known here/],
  [
    'createOptions that were not split',
    [...settings, 'createOptions'],
    '{'.repeat(513),
    undefined,
    /at most 512 characters/,
  ],
  [
    'createOptions that are no JSON',
    [...settings, 'createOptions'],
    '{',
    undefined,
    /must be, with its parts joined, a JSON/,
  ],
  [
    'createOptions that are a list',
    [...settings, 'createOptions'],
    '[]',
    undefined,
    /must be, with its parts joined, a JSON/,
  ],
  [
    'createOptions with a gap',
    [...settings, 'createOptions03'],
    '}',
    [...settings, 'createOptions01'],
    /missing before/,
  ],
  // Credentials
  ['no user name', [...credentials, 'username'], '', undefined, /must be a string that is not empty/],
  [
    'an address with a scheme',
    [...credentials, 'address'],
    'https://contoso.azurecr.io',
    undefined,
    /must be host\[:port\]/,
  ],
  ['an address $upstream without a port', [...credentials, 'address'], '$upstream', undefined, /a port must follow/],
  // Routes
  ['a route without a sink', [...routes, 'r'], 'FROM /messages/*', undefined, /must be FROM <source>/],
  ['a route object without a route', [...routes, 'r'], { priority: 1 }, [...routes, 'r', 'route'], /is required/],
  [
    'a route with a priority of 10',
    [...routes, 'r'],
    { route: 'FROM /* INTO $upstream', priority: 10 },
    [...routes, 'r', 'priority'],
    /at most 9/,
  ],
  [
    'a route of a module that is not there',
    [...routes, 'r'],
    'FROM /messages/modules/registry/* INTO $upstream',
    undefined,
    /names the module registry, which/,
  ],
  [
    'a route into a module that is not there',
    [...routes, 'r'],
    'FROM /messages/* INTO BrokeredEndpoint("/modules/sink/inputs/in")',
    undefined,
    /names the module sink, which/,
  ],
  [
    'a route with a name IoT Hub refuses',
    [...routes, 'a.b'],
    'FROM /messages/* INTO $upstream',
    undefined,
    /is not known here/,
  ],
  // The API proxy
  [
    'a proxy that starts first',
    [...proxy, 'startupOrder'],
    1,
    [...registry, 'startupOrder'],
    /lower than that of IoTEdgeAPIProxy/,
  ],
  [
    'a registry without a start order',
    [...registry, 'startupOrder'],
    undefined,
    undefined,
    /lower than that of IoTEdgeAPIProxy/,
  ],
  [
    'a proxy in front of nobody',
    [...proxy, 'env', 'CONNECTED_ACR_ROUTE_ADDRESS', 'value'],
    'registry:8080',
    undefined,
    /of a module in this manifest/,
  ],
  // Our module's environment
  ['no registry module', registry, undefined, agent.slice(0, 2), /must hold the module connectedregistry/],
  [
    'a connection string without a parent',
    connection,
    `ConnectedRegistryName=plant7;SyncTokenName=a;SyncTokenPassword=${secret}`,
    undefined,
    /^ParentGatewayEndpoint: is missing/,
  ],
  [
    'a variable the registry does not have',
    [...environment, 'ACR_REGISTRY_PORT'],
    { value: '80' },
    [...environment, 'ACR_REGISTRY_PORT', 'value'],
    /no variable of the registry; known are/,
  ],
  [
    'a settings file under IoT Edge',
    [...environment, 'ACR_REGISTRY_SETTINGS_FILE'],
    { value: 'a' },
    [...environment, 'ACR_REGISTRY_SETTINGS_FILE', 'value'],
    /must not be set under IoT Edge/,
  ],
  ['a port that is none', [...environment, 'ACR_REGISTRY_METRICS_PORT', 'value'], '96000', undefined, /must be a port/],
  // Our module's desired properties
  ['an unknown setting', [...desired, 'modus'], 'ReadOnly', undefined, /is not known here; known: mode/],
  ['a mode that does not exist', [...desired, 'mode'], 'Mirror', undefined, /must be one of ReadOnly, ReadWrite/],
  [
    'a window that is none',
    [...desired, 'parent', 'syncProperties', 'syncWindow'],
    'PT6M',
    undefined,
    /ISO 8601 duration/,
  ],
  [
    'a password where its hash belongs',
    [...desired, 'clientTokens', 0, 'passwords', 0, 'hash'],
    secret,
    undefined,
    /must be a PHC string/,
  ],
  ['a repository that is none', [...desired, 'repositories', 0], 'Plant', undefined, /must be a repository name/],
  [
    'a scope map that is not there',
    [...desired, 'clientTokens', 0, 'scopeMap'],
    'pushers',
    undefined,
    /must be the name of a scope map/,
  ],
  // What IoT Hub refuses in any twin
  ...['a.b', '$a', 'a#', 'a b', 'a\u0007'].map((key): Case => [
    `the key ${JSON.stringify(key)}`,
    [...content, 'other', 'properties.desired', key],
    1,
    undefined,
    /must be a key of at most 1024 bytes/,
  ]),
  [
    'a string of more than 4 KB',
    [...content, 'other', 'properties.desired', 'a'],
    secret.repeat(200),
    undefined,
    /at most 4096 bytes, found 5600/,
  ],
  [
    'an integer that is too large',
    [...content, 'other', 'properties.desired', 'a'],
    2 ** 52,
    undefined,
    /a whole one from/,
  ],
  [
    'a document that is too deep',
    [...content, 'other', 'properties.desired', ...levels('a', 'l')],
    1,
    [...content, 'other', 'properties.desired', ...levels('a', 'k')],
    /not be deeper than 10/,
  ],
  [
    'a section of more than 32 KB',
    [...content, 'other', 'properties.desired', 'rows'],
    Array.from({ length: 12 }, () => 'x'.repeat(3000)),
    [...content, 'other', 'properties.desired'],
    /at most 32768 bytes as JSON, found 36\d\d\d/,
  ],
];

const layer = [...content, '$edgeAgent'];
const layeredModule = [...layer, 'properties.desired.modules.connectedregistry'];
const refusedLayers: readonly Case[] = [
  ['a whole section', [...layer, 'properties.desired'], {}, undefined, /is not known here/],
  ['a place edgeAgent has not', [...layer, 'properties.desired.module.a'], {}, undefined, /is not known here/],
  ['a module without an image', [...layeredModule, 'settings', 'image'], undefined, undefined, /is required/],
  ['a wrong restart policy', [...layeredModule, 'restartPolicy'], 'sometimes', undefined, /must be one of never/],
  [
    'a wrong route',
    [...content, '$edgeHub', 'properties.desired.routes.r'],
    'FROM /messages/*',
    undefined,
    /must be FROM/,
  ],
  [
    'a variable the registry does not have',
    [...layeredModule, 'env', 'ACR_REGISTRY_PORT'],
    { value: '1' },
    [...layeredModule, 'env', 'ACR_REGISTRY_PORT', 'value'],
    /no variable of the registry/,
  ],
  ['a wrong setting', [...desired, 'mode'], 'Mirror', undefined, /must be one of ReadOnly/],
  [
    'a key too deep below a dotted place',
    [...content, 'other', 'properties.desired.a.b.c', ...levels('d', 'l')],
    1,
    [...content, 'other', 'properties.desired.a.b.c', ...levels('d', 'k')],
    /not be deeper than 10/,
  ],
];

describe('checkDeployment()', () => {
  refusals('deployment.template.json', refused);

  it('finds nothing in what is allowed: other modules, object routes, typed variables, no desired properties', async () => {
    let manifest: unknown = await renderSample();
    const other = { ...moduleWith('contoso.azurecr.io/other@sha256:abc'), version: '1.0', imagePullPolicy: 'never' };
    manifest = changed(manifest, [...modules, 'other'], { ...other, env: { ON: { value: true }, N: { value: 2 } } });
    manifest = changed(manifest, [...routes, 'r'], {
      route: `FROM /messages/modules/other/outputs/out WHERE $body.a > 1 INTO BrokeredEndpoint("/modules/other/inputs/in")`,
      priority: 0,
      timeToLiveSecs: 60,
    });
    manifest = changed(manifest, desired.slice(0, 2), undefined);
    expect(checkDeployment(manifest)).to.deep.equal([]);
  });

  it('finds everything that is wrong at once', async () => {
    let manifest: unknown = await renderSample();
    manifest = changed(manifest, [...settings, 'image'], undefined);
    manifest = changed(manifest, [...routes, 'r'], 'INTO $upstream');
    manifest = changed(manifest, [...desired, 'mode'], 'Mirror');
    const paths = checkDeployment(manifest).map(({ path }) => path);
    expect(paths).to.have.members(
      [
        [...settings, 'image'],
        [...routes, 'r'],
        [...desired, 'mode'],
      ].map(pointer),
    );
  });

  for (const nothing of [undefined, null, 'text', [], {}, { modulesContent: [] }]) {
    it(`refuses ${JSON.stringify({ nothing })} without a failure of its own`, () => {
      expect(checkDeployment(nothing)).not.to.be.empty;
    });
  }
});

describe('checkDeployment() of a layered deployment', () => {
  refusals('deployment.layered.template.json', refusedLayers);

  it('finds nothing in a layer without routes, or with a single variable of a module', async () => {
    let manifest: unknown = await renderSample({ name: 'deployment.layered.template.json' });
    manifest = changed(manifest, [...content, '$edgeHub'], undefined);
    const variable = 'properties.desired.modules.IoTEdgeAPIProxy.env.CONNECTED_ACR_ROUTE_ADDRESS';
    manifest = changed(manifest, [...layer, variable], { value: 'connectedregistry:8080' });
    expect(checkDeployment(manifest)).to.deep.equal([]);
  });
});

function refusals(name: TemplateName, cases: readonly Case[]): void {
  for (const [what, path, value, place = path, message] of cases) {
    it(`refuses ${what}, with its place and without its value`, async () => {
      const problems = checkDeployment(changed(await renderSample({ name }), path, value));
      const found = problems.filter((problem) => problem.path === pointer(place));
      expect(found.map((problem) => problem.message).join('\n'), JSON.stringify(problems)).to.match(message);
      expect(JSON.stringify(problems)).not.to.include(secret);
    });
  }
}

function moduleWith(image: string): object {
  return { type: 'docker', status: 'running', restartPolicy: 'always', settings: { image, createOptions: '' } };
}

function pointer(path: readonly (string | number)[]): string {
  return path.map((key) => `/${key}`).join('');
}
