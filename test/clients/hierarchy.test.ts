import { expect } from 'chai';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { startApiProxy, type ApiProxy } from '../helpers/api-proxy.ts';
import { startDockerRegistry, type DockerRegistry } from '../helpers/docker-registry.ts';
import { startEdgeSite, type EdgeSite } from '../helpers/edge-site.ts';
import { freePort } from '../helpers/free-port.ts';
import { startLayer, type Layer, type LayerReport } from '../helpers/layer.ts';
import { Program, run } from '../helpers/program.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import { writeOciLayout } from './oci-layout.ts';

const cloudAccount = { name: 'topsync', password: 'top-sync-password' };
const lowerToken = { name: 'lowersync', password: 'lower-sync-password' };
const operator = { name: 'operator', password: 'operator-password' };
const platforms = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
  { os: 'linux', architecture: 'arm', variant: 'v7' },
];

/**
 * docker-registry as the cloud, two modules below each other, nginx set up as the API proxy in front of each with a
 * certificate of the edge root, skopeo as the client that trusts that root alone.
 */
describe('a nested hierarchy, as skopeo sees it through the API proxies', () => {
  let directory: string;
  let cloud: DockerRegistry;
  let site: EdgeSite;
  let upperProxy: ApiProxy;
  let lowerProxy: ApiProxy;
  let upper: Layer;
  let lower: Layer;
  /** Closed in reverse, also when `before` breaks off. */
  const opened: (() => Promise<unknown>)[] = [];

  before(async () => {
    directory = await temporaryDirectory();
    cloud = await startDockerRegistry({ directory: join(directory, 'cloud'), ...cloudAccount });
    opened.push(() => cloud.stop());
    const passwordsOf = async ({ password }: { password: string }) => [
      { name: 'password1', hash: await hashPassword(password) },
    ];
    const actions = ['content/read', 'content/write', 'content/delete', 'metadata/read'];
    const shared = {
      repositories: ['plant/*'],
      scopeMaps: [{ name: 'operators', actions: actions.map((action) => `repositories/*/${action}`) }],
      clientTokens: [{ name: operator.name, scopeMap: 'operators', passwords: await passwordsOf(operator) }],
    };
    const child = {
      name: 'lowerlayer',
      mode: 'ReadWrite',
      repositories: ['plant/*'],
      syncToken: { name: lowerToken.name, passwords: await passwordsOf(lowerToken) },
    };
    // One root for all devices, as nested IoT Edge has it: the lower site's, which also signs the upper proxy.
    site = await startEdgeSite({ modules: ['registry'] });
    opened.push(() => site.close());
    const certificate = await site.issueServerCertificate('localhost');
    const ports = { upper: await freePort(), lower: await freePort() };
    upperProxy = await startApiProxy({
      directory: join(directory, 'upper-proxy'),
      registry: `127.0.0.1:${ports.upper}`,
      certificate,
    });
    opened.push(() => upperProxy.close());
    lowerProxy = await startApiProxy({
      directory: join(directory, 'lower-proxy'),
      registry: `127.0.0.1:${ports.lower}`,
      certificate,
    });
    opened.push(() => lowerProxy.close());
    await mkdir(join(directory, 'certs'));
    await writeFile(join(directory, 'certs', 'ca.crt'), site.trustBundle);
    upper = await startLayer({
      name: 'upperlayer',
      directory: join(directory, 'upper'),
      port: ports.upper,
      parent: { endpoint: cloud.endpoint, syncToken: cloudAccount },
      desired: { ...shared, children: [child] },
    });
    opened.push(() => upper.close());
    lower = await startLayer({
      name: 'lowerlayer',
      directory: join(directory, 'lower'),
      port: ports.lower,
      site,
      parent: { endpoint: upperProxy.endpoint, protocol: 'https', syncToken: lowerToken },
      desired: shared,
    });
    opened.push(() => lower.stop());
  });

  after(async () => {
    for (const close of opened.reverse()) await close();
    await rm(directory, { recursive: true, force: true });
  });

  const inCloud = (name: string): string => `docker://${cloud.endpoint}/${name}`;
  const atUpper = (name: string): string => `docker://${upperProxy.endpoint}/${name}`;
  const atLower = (name: string): string => `docker://${lowerProxy.endpoint}/${name}`;

  /** How skopeo reaches each registry; `side`: '' for inspect, 'src-' and 'dest-' for copy. */
  function access(image: string, side: '' | 'src-' | 'dest-'): string[] {
    if (!image.startsWith('docker:')) return [];
    const isCloud = image.startsWith(`docker://${cloud.endpoint}`);
    const { name, password } = isCloud ? cloudAccount : operator;
    const trust = isCloud ? [`--${side}tls-verify=false`] : [`--${side}cert-dir=${join(directory, 'certs')}`];
    return [...trust, `--${side}creds=${name}:${password}`];
  }

  function copy(from: string, to: string, ...options: string[]): Promise<string> {
    return run(
      'skopeo',
      '--insecure-policy',
      'copy',
      ...options,
      ...access(from, 'src-'),
      ...access(to, 'dest-'),
      from,
      to,
    );
  }

  /** The manifest's exact bytes, as text. */
  function inspect(image: string): Promise<string> {
    return run('skopeo', 'inspect', '--raw', ...access(image, ''), image);
  }

  function arrives(image: string): Promise<string> {
    return until(`${image} is there`, () => inspect(image), 60_000);
  }

  it('brings an index with three platforms down unchanged, and every platform can be pulled', async () => {
    const layout = join(directory, 'index-layout');
    await writeOciLayout(layout, { tag: '1', text: 'hello', platforms });
    await copy(`oci:${layout}:1`, inCloud('plant/hello:1'), '--all');
    expect((await upper.site.hub.invokeMethod('registry', 'resync', {})).status).to.equal(202);

    const above = await inspect(inCloud('plant/hello:1'));
    expect(await arrives(atLower('plant/hello:1'))).to.equal(above);
    expect(await inspect(atUpper('plant/hello:1'))).to.equal(above);
    await copy(atLower('plant/hello:1'), `oci:${join(directory, 'pulled')}:1`, '--all');
  });

  it('brings a docker v2 schema 2 image down byte for byte', async () => {
    const layout = join(directory, 'single-layout');
    await writeOciLayout(layout, { tag: '2', text: 'docker', platforms: platforms.slice(0, 1) });
    await copy(`oci:${layout}:2`, inCloud('plant/docker:2'), '--format', 'v2s2');
    await upper.site.hub.invokeMethod('registry', 'resync', {});

    const above = await inspect(inCloud('plant/docker:2'));
    expect(above).to.contain('application/vnd.docker.distribution.manifest.v2+json');
    expect(await arrives(atLower('plant/docker:2'))).to.equal(above);
    await copy(atLower('plant/docker:2'), `dir:${join(directory, 'pulled-docker')}`);
  });

  it('carries a push at the lowest layer up to the cloud', async () => {
    const layout = join(directory, 'report-layout');
    await writeOciLayout(layout, { tag: '3', text: 'report', platforms });
    await copy(`oci:${layout}:3`, atLower('plant/report:3'), '--all');
    expect(await arrives(inCloud('plant/report:3'))).to.equal(await inspect(atLower('plant/report:3')));
  });

  it('lists tags and deletes through the proxy', async () => {
    await copy(atLower('plant/report:3'), atLower('plant/report:mine'), '--all');
    const list = ['skopeo', 'list-tags', ...access(atLower(''), ''), atLower('plant/report')] as const;
    expect(await run(...list)).to.contain('"mine"');
    await run('skopeo', 'delete', ...access(atLower(''), ''), atLower('plant/report:mine'));
    expect(await run(...list)).not.to.contain('"mine"');
  });

  it('refuses a wrong password and an unknown image with the texts users know', async () => {
    const wrong = [
      'inspect',
      `--cert-dir=${join(directory, 'certs')}`,
      '--creds=operator:wrong',
      atLower('plant/hello:1'),
    ];
    const refused = new Program({ command: 'skopeo', arguments: wrong });
    expect(await refused.exited).not.to.equal(0);
    expect(refused.output).to.match(/unauthorized|authentication required/i);
    const unknown = ['inspect', ...access(atLower(''), ''), atLower('plant/hello:none')];
    const missing = new Program({ command: 'skopeo', arguments: unknown });
    expect(await missing.exited).not.to.equal(0);
    expect(missing.output).to.contain('manifest unknown');
  });

  it('routes nothing but /v2 and /acr, and names the client-side host in the challenge', async () => {
    const { output } = await curl(`https://${lowerProxy.endpoint}/v2/`);
    expect(output.toLowerCase()).to.contain(`realm="https://${lowerProxy.endpoint}/acr/oauth2/token"`);
    expect((await curl(`https://${lowerProxy.endpoint}/healthz`)).output).to.contain('404');
  });

  it('serves what it has after a restart with cloud, parent and hub away', async () => {
    const before = await inspect(atLower('plant/hello:1'));
    await cloud.stop();
    await upper.stop();
    await site.hub.stopListening();
    await lower.stop();
    await lower.start();
    expect(await inspect(atLower('plant/hello:1'))).to.equal(before);
    await site.hub.listen();
    // Both at once: what the module reported before its restart still stands in the hub.
    const isCutOff = ({ inSync, connectionState }: LayerReport): boolean =>
      inSync === false && connectionState === 'Offline';
    await lower.reported('a failed pass, and that nobody answers', isCutOff, 100_000);
  });

  async function curl(url: string): Promise<Program> {
    const program = new Program({
      command: 'curl',
      arguments: ['--silent', '--include', '--cacert', join(directory, 'certs', 'ca.crt'), url],
    });
    await program.exited;
    return program;
  }
});
