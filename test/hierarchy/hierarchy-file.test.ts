import { expect } from 'chai';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hierarchyCommand } from '../../scripts/hierarchy/hierarchy-command.ts';
import { ask } from '../helpers/ask.ts';
import { startCloud, type Cloud } from '../helpers/cloud.ts';
import type { Properties } from '../helpers/edgehub-rules.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { pullImage, type Account } from '../helpers/pull-image.ts';
import { arrives, push } from './push.ts';
import { openStage, type Stage } from './stage.ts';

interface Manifest {
  readonly modulesContent: {
    readonly $edgeAgent: {
      readonly 'properties.desired': {
        readonly modules: { readonly connectedregistry: { readonly env: Record<string, { readonly value: string }> } };
      };
    };
    readonly connectedregistry: { readonly 'properties.desired': Properties };
  };
}

/** Of the top layer: the tool calls a sync token as its layer. */
const cloudAccount: Account = { name: 'upperlayer', password: 'made-in-the-cloud' };

/** A cloud, a hierarchy file, and two module processes started from the manifests it gives. */
describe('a hierarchy made from one file', function () {
  // Longer than the three processes may take to start, for each of which `until` says what did not come.
  this.timeout(90_000);

  let stage: Stage;
  let cloud: Cloud;
  let output: string;
  let file: string;
  let upperPort: number;
  let upper: Layer;
  let lower: Layer;
  let client: Account;

  before(async () => {
    stage = await openStage();
    const { directory } = stage;
    output = join(directory, 'output');
    file = join(directory, 'hierarchy.yaml');
    upperPort = await freePort();
    cloud = await stage.open(
      startCloud({
        kind: 'connected-registry',
        directory: join(directory, 'cloud'),
        account: cloudAccount,
        registryBelow: 'upperlayer',
      }),
    );
    await writeFile(file, hierarchyFile(['plant/hello']));
    const { secrets } = await apply();
    client = { name: 'line3', password: / line3 at lowerlayer.*: (\S+)/.exec(secrets.join('\n'))?.[1] ?? '' };
    // What an operator does who got the account from the cloud registry.
    await writeFile(join(output, 'upperlayer/.env'), `SYNC_TOKEN_PASSWORD=${cloudAccount.password}\n`);
    await apply();
    [upper, lower] = await Promise.all([
      stage.open(started('upperlayer', upperPort)),
      stage.open(started('lowerlayer')),
    ]);
  });

  after(() => stage.close());

  it('brings an image from the cloud to the bottom, where the printed password pulls it', async () => {
    const hello = sampleImage(['hello']);
    await push(cloud.endpoint, cloudAccount, 'plant/hello', hello, '1');
    await arrives(lower.url, client, ['plant/hello', '1'], hello);
    expect((await pullImage(lower.url, client, 'plant/hello', '1')).digest).to.equal(hello.manifest.digest);
  });

  it('lets the client do what its actions say, and no more', async () => {
    expect(await ask(`${lower.url}/v2/plant/tools/manifests/1`, client)).to.include({ status: 403 });
    expect(await ask(`${lower.url}/v2/plant/hello/blobs/uploads/`, client, { method: 'POST' })).to.include({
      status: 403,
      code: 'DENIED',
    });
  });

  it('brings a repository that the changed file adds, on the same secrets; the rotated password works beside the old', async () => {
    await writeFile(file, hierarchyFile(['plant/hello', 'plant/tools']));
    const { secrets } = await apply('--rotate', 'lowerlayer/line3');
    const rotated = { name: 'line3', password: /password2.*: (\S+)/.exec(secrets.join('\n'))?.[1] ?? '' };
    for (const layer of [upper, lower]) {
      layer.site.hub.replaceDesired(
        'registry',
        (await manifestOf(layer.name)).modulesContent.connectedregistry['properties.desired'],
      );
    }
    const tools = sampleImage(['tools']);
    await push(cloud.endpoint, cloudAccount, 'plant/tools', tools, '7');
    await arrives(lower.url, rotated, ['plant/tools', '7'], tools);
    await pullImage(lower.url, client, 'plant/tools', '7');
  });

  function hierarchyFile(repositories: readonly string[]): string {
    return `
cloud: { loginServer: '${cloud.endpoint}', kind: oci, protocol: http }
iotHub: hub
variables: { EDGE_RUNTIME_VERSION: '1.6', API_PROXY_VERSION: '1.1' }
layers:
  - name: upperlayer
    mode: ReadWrite
    device: upper
    gateway: { hostName: localhost, port: ${upperPort}, protocol: http }
    includeDescendants: true
  - name: lowerlayer
    parent: upperlayer
    mode: ReadOnly
    device: lower
    repositories: [${repositories.join(', ')}]
    clientTokens:
      - name: line3
        actions:
${repositories.map((name) => `          - repositories/${name}/content/read\n          - repositories/${name}/metadata/read`).join('\n')}
`;
  }

  function apply(...options: readonly string[]) {
    return hierarchyCommand(['apply', file, '--output', output, ...options], {});
  }

  async function manifestOf(name: string): Promise<Manifest> {
    return JSON.parse(await readFile(join(output, name, 'deployment.amd64.json'), 'utf8')) as Manifest;
  }

  /** The module, with the environment and the desired properties of the layer's manifest. */
  async function started(name: string, port?: number): Promise<Layer> {
    const { modulesContent } = await manifestOf(name);
    const { env } = modulesContent.$edgeAgent['properties.desired'].modules.connectedregistry;
    const { ACR_REGISTRY_CONNECTION_STRING: connection } = env;
    return startLayer({
      name,
      directory: join(stage.directory, name),
      parent: { endpoint: 'unused', syncToken: { name: 'unused', password: 'unused' } },
      desired: modulesContent.connectedregistry['properties.desired'],
      variables: {
        IOTEDGE_PARENTHOSTNAME: '127.0.0.1',
        ACR_REGISTRY_CONNECTION_STRING: connection?.value ?? '',
      },
      ...(port !== undefined && { port }),
    });
  }
});
