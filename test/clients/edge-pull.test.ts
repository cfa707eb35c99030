import { expect } from 'chai';
import { randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { hierarchyCommand } from '../../scripts/hierarchy/hierarchy-command.ts';
import { apiProxyModule, startApiProxy } from '../helpers/api-proxy.ts';
import { command, tryCommand } from '../helpers/command.ts';
import { startDockerEngine, type DockerEngine } from '../helpers/docker-engine.ts';
import { startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { createEdgeCertificates, type EdgeCertificates } from '../helpers/edge-certificates.ts';
import { startEdgeSite, type EdgeSite } from '../helpers/edge-site.ts';
import type { Properties } from '../helpers/edgehub-rules.ts';
import { freePort } from '../helpers/free-port.ts';
import { createHostsFile, type HostsFile } from '../helpers/hosts-file.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { needs } from '../helpers/needs.ts';
import type { Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { openStage, type Stage } from '../hierarchy/stage.ts';
import { startConnectProxy, type ConnectProxy } from './connect-proxy.ts';
import { writeOciLayout } from './oci-layout.ts';

interface Manifest {
  readonly modulesContent: {
    readonly $edgeAgent: {
      readonly 'properties.desired': {
        readonly runtime: {
          readonly settings: {
            readonly registryCredentials: Record<
              string,
              { readonly address: string; readonly username: string; readonly password: string }
            >;
          };
        };
        readonly systemModules: Record<string, { readonly settings: { readonly image: string } }>;
        readonly modules: Record<
          string,
          {
            readonly settings: { readonly image: string };
            readonly env: Record<string, { readonly value: string }>;
          }
        >;
      };
    };
    readonly connectedregistry: { readonly 'properties.desired': Properties };
  };
}

/** What edgeAgent has from a nested device's manifest, with $upstream replaced as it does. */
interface EdgeAgentOrders {
  readonly images: readonly string[];
  readonly credentials: Account & { readonly address: string };
}

/** A device of the hierarchy: its hub, its registry module, and the API proxy in front. */
interface Device {
  readonly site: EdgeSite;
  readonly hosts: HostsFile;
  readonly port: number;
  layer?: Layer;
}

type LayerName = 'contosohq' | 'plant7' | 'plant7line3';

/** Addresses of this machine that no other test uses, so that every gateway can have the port it has at a site. */
const net = `127.${randomInt(1, 255)}.${randomInt(0, 255)}`;
const gateways: Record<LayerName, { readonly name: string; readonly address: string }> = {
  contosohq: { name: 'hq-gateway.contoso.local', address: `${net}.1` },
  plant7: { name: 'plant7-gateway.contoso.local', address: `${net}.2` },
  plant7line3: { name: 'plant7-line3.contoso.local', address: `${net}.3` },
};
const port = 8000;
const cloudAccount: Account = { name: 'contosohq', password: 'made-in-the-cloud' };
const said = 'hello from the plant';
/** As docker-registry holds what the devices run. */
const deviceImages = ['azureiotedge-agent:1.6', 'azureiotedge-hub:1.6', 'azureiotedge-api-proxy:1.1'];

/**
 * docker-registry as the cloud; layers made from one hierarchy file, each a module process with the API proxy before it
 * and a certificate of one edge root; at the bottom dockerd, which pulls as edgeAgent has it pull. A device knows the
 * name of its parent's gateway alone.
 */
describe("a lower device's container engine", () => {
  let stage: Stage;
  let cloud: DockerRegistry;
  let certificates: EdgeCertificates;
  let connectProxy: ConnectProxy;
  let engine: DockerEngine;
  const devices = new Map<LayerName, Device>();
  let file: string;
  let output: string;

  before(async function () {
    this.timeout(120_000);
    const programs = ['docker', 'dockerd', 'containerd', 'runc', 'skopeo', 'busybox', 'nginx', 'docker-registry'];
    await needs(this, ...programs, 'unshare', 'openssl', 'curl', 'root');
    stage = await openStage();
    const { directory } = stage;
    [file, output] = [join(directory, 'hierarchy.yaml'), join(directory, 'output')];
    certificates = await createEdgeCertificates();
    await writeFile(join(directory, 'edge-root.crt'), certificates.trustBundle);
    cloud = await startDockerRegistry({ directory: join(directory, 'cloud'), ...cloudAccount });
    await stage.open(Promise.resolve({ close: () => cloud.stop() }));

    await writeOciLayout(join(directory, 'hello'), {
      tag: '1',
      text: 'hello',
      program: { file: '/bin/busybox', arguments: ['echo', said] },
      platforms: [
        { os: 'linux', architecture: 'amd64' },
        { os: 'linux', architecture: 'arm64', variant: 'v8' },
      ],
    });
    await writeFile(file, hierarchyFile());
    await apply();
    // What an operator does who got the account from the cloud registry.
    await writeFile(join(output, 'contosohq/.env'), `SYNC_TOKEN_PASSWORD=${cloudAccount.password}\n`);
    await apply();
    const { images } = await ordersFor('plant7line3', 'contosohq');
    const [registryImage] = images.filter((image) => image.includes('/connected-registry:'));
    for (const image of ['plant/hello:1', ...deviceImages, registryImage!.slice(registryImage!.indexOf('/') + 1)]) {
      await pushToCloud(image);
    }

    connectProxy = await stage.open(
      startConnectProxy(
        Object.fromEntries(
          Object.values(gateways).map(({ name, address }) => [`${name}:${port}`, `${address}:${port}`]),
        ),
      ),
    );
    engine = await stage.open(startDockerEngine({ environment: { HTTPS_PROXY: connectProxy.url } }));
    await startDevice('contosohq');
    await startDevice('plant7line3', 'contosohq');
  });

  after(() => stage.close());

  it('does not pull before it trusts the edge root', async () => {
    const { images, credentials } = await ordersFor('plant7line3', 'contosohq');
    expect(images).to.have.length(4);
    const refused = await pullAsEdgeAgent(`${gatewayOf('contosohq')}/plant/hello:1`, credentials);
    expect(refused).to.match(/certificate signed by unknown authority/);
    const login = ['login', `--username=${credentials.name}`, '--password-stdin', gatewayOf('contosohq')];
    const { output: words } = await engine.tryDocker(login, { stdin: credentials.password });
    expect(words).to.match(/certificate signed by unknown authority/);
  });

  it('pulls plant/hello:1 from the parent with the sync token, and runs it', async () => {
    await trust('contosohq');
    await pullsAndRuns('contosohq');
  });

  it('pulls what the device itself runs, by the image names of its manifest', async () => {
    const { images, credentials } = await ordersFor('plant7line3', 'contosohq');
    for (const image of images) expect(await pulledFromParent(image, credentials), image).to.equal(undefined);
  });

  it('is let to each hop by the commands of the README', async () => {
    const { credentials } = await ordersFor('plant7line3', 'contosohq');
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const commands = /### Trust the edge root[^]*?```sh\n(?:[^`]*)```[^]*?```sh\nparent=[^\n]*\n([^`]*)```/.exec(
      readme,
    )?.[1];
    const hosts = devices.get('plant7line3')!.hosts.command('sh', ['-e', '-c', commands ?? 'exit 9']);
    const { code, output: answer } = await tryCommand(hosts.command, hosts.arguments, {
      env: {
        ...engine.environment,
        parent: gateways.contosohq.name,
        root: join(stage.directory, 'edge-root.crt'),
        token: credentials.name,
        password: credentials.password,
      },
      stdin: credentials.password,
    });
    expect(code, answer).to.equal(0);
    expect(answer).to.contain('Verify return code: 0 (ok)');
    expect(answer).to.contain(`realm="https://${gatewayOf('contosohq')}/acr/oauth2/token"`);
    expect(answer).to.contain('{"name":"plant/hello","tags":["1"]}');
    expect(answer).to.contain('Login Succeeded');
  });

  it('pulls and runs it when the uplink of the parent is cut, the parent started anew', async () => {
    const { site, layer } = devices.get('contosohq')!;
    await cloud.stop();
    await site.hub.stopListening();
    try {
      await layer!.stop();
      await layer!.start();
      await pullsAndRuns('contosohq');
    } finally {
      await site.hub.listen();
      await cloud.start();
    }
  });

  it('pulls no more, at the next request, once its sync token is shut out, and again when it is let in', async () => {
    const { site } = devices.get('contosohq')!;
    const { credentials } = await ordersFor('plant7line3', 'contosohq');
    const desired = await desiredOf('contosohq');
    const image = `${gatewayOf('contosohq')}/plant/hello:1`;
    const [child] = desired['children'] as Properties[];
    const syncToken = { ...(child!['syncToken'] as Properties), passwords: [] };
    const applied = async (properties: Properties): Promise<void> => {
      site.hub.replaceDesired('registry', properties);
      const { desiredVersion } = site.hub.twin('registry');
      await devices.get('contosohq')!.layer!.reported('the new settings', ({ settings }) => {
        const { status, version: at } = (settings ?? {}) as { status?: string; version?: number };
        return status === 'Applied' && at === desiredVersion;
      });
    };
    await applied({ ...desired, children: [{ ...child, syncToken }] });
    await forget();
    expect(await pullAsEdgeAgent(image, credentials)).to.match(/unauthorized|denied/i);
    await applied(desired);
    expect(await pullAsEdgeAgent(image, credentials)).to.equal(undefined);
  });

  it('pulls from a layer put in between with the same sync token, and from the old parent when it is out again', async function () {
    this.timeout(120_000);
    const before = await ordersFor('plant7line3', 'contosohq');
    await writeFile(file, hierarchyFile('plant7'));
    await apply();
    devices.get('contosohq')!.site.hub.replaceDesired('registry', await desiredOf('contosohq'));
    await startDevice('plant7', 'contosohq');
    await startDevice('plant7line3', 'plant7');
    expect((await ordersFor('plant7line3', 'plant7')).credentials.password).to.equal(before.credentials.password);
    await trust('plant7');
    await pullsAndRuns('plant7');
    expect(await pullAsEdgeAgent(`${gatewayOf('contosohq')}/plant/hello:1`, before.credentials)).to.match(
      /unauthorized|denied/i,
    );

    await writeFile(file, hierarchyFile());
    await apply();
    devices.get('contosohq')!.site.hub.replaceDesired('registry', await desiredOf('contosohq'));
    await startDevice('plant7line3', 'contosohq');
    await devices.get('plant7')!.layer!.stop();
    await pullsAndRuns('contosohq');
  });

  it('is sent to no address but those of gateways', () => {
    expect(connectProxy.refused).to.deep.equal([]);
  });

  /** With `between`, that layer stands between the two others. */
  function hierarchyFile(between?: LayerName): string {
    const parent = between ?? 'contosohq';
    return `
cloud: { loginServer: '${cloud.endpoint}', kind: oci, protocol: http }
iotHub: contoso-hub
variables: { EDGE_RUNTIME_VERSION: '1.6', API_PROXY_VERSION: '1.1' }
layers:
  - name: contosohq
    mode: ReadWrite
    device: hq-gateway
    gateway: { hostName: ${gateways.contosohq.name} }
    repositories: [plant/hello]
    includeDescendants: true
${
  between
    ? `  - name: plant7
    parent: contosohq
    mode: ReadOnly
    device: plant7-gateway
    gateway: { hostName: ${gateways.plant7.name} }
    repositories: [plant/hello]
    includeDescendants: true
`
    : ''
}  - name: plant7line3
    parent: ${parent}
    mode: ReadOnly
    device: plant7-line3
    repositories: [plant/hello]
`;
  }

  function apply() {
    return hierarchyCommand(['apply', file, '--output', output], {});
  }

  async function manifestOf(name: LayerName): Promise<Manifest> {
    return JSON.parse(await readFile(join(output, name, 'deployment.amd64.json'), 'utf8')) as Manifest;
  }

  async function desiredOf(name: LayerName): Promise<Properties> {
    return (await manifestOf(name)).modulesContent.connectedregistry['properties.desired'];
  }

  async function ordersFor(name: LayerName, parent: LayerName): Promise<EdgeAgentOrders> {
    const { runtime, systemModules, modules } = (await manifestOf(name)).modulesContent.$edgeAgent[
      'properties.desired'
    ];
    const upstream = (text: string): string => text.replace(/^\$upstream(?=:[1-9])/, gateways[parent].name);
    const images = Object.values({ ...systemModules, ...modules }).map(({ settings }) => upstream(settings.image));
    const [registry] = Object.values(runtime.settings.registryCredentials);
    const { address, username, password } = registry!;
    return { images, credentials: { address: upstream(address), name: username, password } };
  }

  async function pushToCloud(image: string): Promise<void> {
    const credentials = `--dest-creds=${cloudAccount.name}:${cloudAccount.password}`;
    await command(
      'skopeo',
      [
        ...['--insecure-policy', 'copy', '--all', '--dest-tls-verify=false', credentials],
        ...['oci:hello:1', `docker://${cloud.endpoint}/${image}`],
      ],
      { cwd: stage.directory },
    );
  }

  /** (Re-)creates the module as a changed manifest does, on the data volume it had. */
  async function startDevice(name: LayerName, parent?: LayerName): Promise<void> {
    const device = devices.get(name) ?? (await makeDevice(name));
    await device.layer?.stop();
    await device.hosts.set({
      connectedregistry: '127.0.0.1',
      ...(parent && { [gateways[parent].name]: gateways[parent].address }),
    });
    const { env } = (await manifestOf(name)).modulesContent.$edgeAgent['properties.desired'].modules[
      'connectedregistry'
    ]!;
    device.layer = await startLayer({
      name,
      directory: join(stage.directory, name),
      site: device.site,
      hosts: device.hosts,
      port: device.port,
      parent: { endpoint: 'unused', syncToken: { name: 'unused', password: 'unused' } },
      desired: await desiredOf(name),
      variables: {
        ACR_REGISTRY_CONNECTION_STRING: env['ACR_REGISTRY_CONNECTION_STRING']!.value,
        ...(parent && { IOTEDGE_PARENTHOSTNAME: gateways[parent].name }),
      },
    });
  }

  async function makeDevice(name: LayerName): Promise<Device> {
    const directory = join(stage.directory, name);
    await mkdir(directory);
    const device: Device = {
      site: await stage.open(startEdgeSite({ modules: ['registry'], certificates })),
      hosts: await createHostsFile(join(directory, 'hosts'), { connectedregistry: '127.0.0.1' }),
      port: await freePort(),
    };
    devices.set(name, device);
    await stage.open(
      Promise.resolve({
        async close() {
          await device.layer?.stop();
        },
      }),
    );
    await stage.open(
      startApiProxy({
        directory: join(directory, 'api-proxy'),
        certificate: await certificates.issueServer([gateways[name].name, apiProxyModule]),
        registry: `connectedregistry:${device.port}`,
        address: gateways[name].address,
        port,
        hosts: device.hosts,
      }),
    );
    return device;
  }

  function gatewayOf(name: LayerName): string {
    return `${gateways[name].name}:${port}`;
  }

  async function trust(parent: LayerName): Promise<void> {
    await mkdir(join(engine.certificates, gatewayOf(parent)));
    await writeFile(join(engine.certificates, gatewayOf(parent), 'ca.crt'), certificates.trustBundle);
  }

  async function forget(): Promise<void> {
    const ids = (await engine.docker(['image', 'ls', '--all', '--quiet'])).split('\n').filter(Boolean);
    if (ids.length > 0) await engine.docker(['image', 'rm', '--force', ...new Set(ids)]);
  }

  /** With nothing left of earlier pulls, once the parent has it. */
  async function pullsAndRuns(parent: LayerName): Promise<void> {
    const { credentials } = await ordersFor('plant7line3', parent);
    const image = `${gatewayOf(parent)}/plant/hello:1`;
    await forget();
    expect(await pulledFromParent(image, credentials)).to.equal(undefined);
    expect(await engine.docker(['run', '--rm', '--network=none', image])).to.equal(said);
  }

  /** Asks until the image has reached the parent; any other refusal comes back. */
  function pulledFromParent(image: string, credentials: EdgeAgentOrders['credentials']): Promise<string | undefined> {
    let last: string | undefined;
    return until(`${image} can be pulled`, async () => {
      const refusal = await pullAsEdgeAgent(image, credentials);
      last = refusal;
      return !/manifest unknown|not found|unauthorized/.test(refusal ?? '') && { refusal };
    }).then(
      ({ refusal }) => refusal,
      () => last,
    );
  }

  /** `POST /images/create` with X-Registry-Auth, as edgeAgent has the engine pull; what the engine says against it. */
  function pullAsEdgeAgent(image: string, credentials: EdgeAgentOrders['credentials']): Promise<string | undefined> {
    const { address, name, password } = credentials;
    const auth = JSON.stringify({ username: name, password, serveraddress: address });
    return new Promise((resolve, reject) => {
      const asked = request({
        socketPath: engine.host.replace('unix://', ''),
        method: 'POST',
        path: `/v1.41/images/create?fromImage=${encodeURIComponent(image)}`,
        // Base64 for URLs, but padded: docker takes anything else for no credentials.
        headers: { 'X-Registry-Auth': Buffer.from(auth).toString('base64').replaceAll('+', '-').replaceAll('/', '_') },
        agent: false,
      });
      asked.once('error', reject);
      asked.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode !== 200) resolve(text);
          else resolve(/"error":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1]);
        });
      });
      asked.end();
    });
  }
});
