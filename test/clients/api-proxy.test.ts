import { expect } from 'chai';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { limits } from '../../modules/registry/src/settings/limits.ts';
import { layerSettings, operator, passwordsOf } from '../hierarchy/layer-settings.ts';
import { arrives, push } from '../hierarchy/push.ts';
import { openStage, type Stage } from '../hierarchy/stage.ts';
import { apiProxyModule, startApiProxy, type ApiProxy } from '../helpers/api-proxy.ts';
import { command, tryCommand, type CommandResult } from '../helpers/command.ts';
import { startDockerEngine, type DockerEngine } from '../helpers/docker-engine.ts';
import { createEdgeCertificates, type EdgeCertificates } from '../helpers/edge-certificates.ts';
import { startEdgeSite } from '../helpers/edge-site.ts';
import { freePort } from '../helpers/free-port.ts';
import { createHostsFile, type HostsFile } from '../helpers/hosts-file.ts';
import { startLayer, type Layer } from '../helpers/layer.ts';
import { needs } from '../helpers/needs.ts';
import { sampleImage } from '../helpers/images.ts';
import { pullImage, type Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { succeeded } from './client-contract.ts';
import { startConnectProxy, type ConnectProxy } from './connect-proxy.ts';
import { writeOciLayout } from './oci-layout.ts';

const largeBytes = 300_000_000;
const child: Account = { name: 'belowregistry', password: 'below-password' };
const platforms = [{ os: 'linux', architecture: 'amd64' }];
/** Addresses of this machine that no other test uses. */
const net = `127.${randomInt(1, 255)}.${randomInt(0, 255)}`;
const [topAddress, betweenAddress, stockAddress, lateAddress] = [`${net}.1`, `${net}.2`, `${net}.3`, `${net}.4`];
const [top, between, stock] = ['top.plant.example', 'between.plant.example', 'stock.plant.example'];
const port = 8000;

interface Way {
  readonly name: string;
  readonly address: string;
}

/**
 * A registry with the API proxy in front; a layer below without a registry, whose proxy passes everything on with our
 * template; one with the module's own. Clients know the name of one of them alone.
 */
describe('the registry behind the API proxy', () => {
  let stage: Stage;
  let certificates: EdgeCertificates;
  let registry: Layer;
  let registryPort: number;
  let proxy: ApiProxy;
  let trust: string;

  before(async function () {
    await needs(this, 'nginx', 'unshare', 'skopeo', 'docker', 'dockerd', 'containerd', 'runc', 'root');
    stage = await openStage();
    const { directory } = stage;
    certificates = await createEdgeCertificates();
    trust = join(directory, 'trust');
    await mkdir(trust);
    await writeFile(join(trust, 'ca.crt'), certificates.trustBundle);

    registryPort = await freePort();
    const device = await createHostsFile(join(directory, 'top-hosts'), { connectedregistry: '127.0.0.1' });
    proxy = await stage.open(
      startApiProxy({
        ...(await proxyOptions('top', top, topAddress)),
        registry: `connectedregistry:${registryPort}`,
        hosts: device,
      }),
    );
    // Below the proxy that waits for it.
    expect((await ask({ name: top, address: topAddress }, 'GET', '/v2/')).status).to.equal(502);
    registry = await stage.open(
      startLayer({
        name: 'topregistry',
        directory: join(directory, 'registry'),
        port: registryPort,
        // Away for good.
        parent: { endpoint: '127.0.0.1:9', syncToken: { name: 'nobody', password: 'nothing' } },
        desired: await layerSettings({
          children: [
            {
              name: child.name,
              mode: 'ReadOnly',
              repositories: ['plant/small'],
              syncToken: { name: child.name, passwords: await passwordsOf(child) },
            },
          ],
        }),
      }),
    );
    const parent = { name: top, address: topAddress, trustBundle: certificates.trustBundle };
    await stage.open(
      startApiProxy({
        ...(await proxyOptions('between', between, betweenAddress)),
        parent: { ...parent, template: 'pass-through' },
        hosts: await createHostsFile(join(directory, 'between-hosts'), { [top]: topAddress }),
      }),
    );
    await stage.open(
      startApiProxy({
        ...(await proxyOptions('stock', stock, stockAddress)),
        parent: { ...parent, template: 'stock' },
      }),
    );
    await until('the registry knows the operator', async () => {
      return (await ask({ name: top, address: topAddress }, 'GET', '/v2/', basic)).status === 200;
    });
    await writeOciLayout(join(directory, 'image'), { tag: '1', text: 'hello', platforms });
    await writeOciLayout(join(directory, 'large'), {
      tag: '1',
      text: 'large',
      content: randomBytes(largeBytes),
      platforms,
    });
  });

  after(() => stage.close());

  async function proxyOptions(folder: string, name: string, address: string) {
    const certificate = await certificates.issueServer([name, apiProxyModule]);
    return { directory: join(stage.directory, folder), certificate, address, port };
  }

  const ways: readonly (Way & { readonly title: string })[] = [
    { title: 'one proxy', name: top, address: topAddress },
    { title: 'two proxies', name: between, address: betweenAddress },
  ];

  for (const way of ways) {
    describe(`through ${way.title}`, () => {
      const folder = way.title.replace(' ', '-');
      const at = `${way.name}:${port}`;
      let hosts: HostsFile;
      let connectProxy: ConnectProxy;
      let engine: DockerEngine;

      before(async () => {
        hosts = await createHostsFile(join(stage.directory, `${folder}-hosts`), { [way.name]: way.address });
        connectProxy = await stage.open(startConnectProxy({ [at]: `${way.address}:${port}` }));
        engine = await stage.open(
          startDockerEngine({
            environment: { HTTPS_PROXY: connectProxy.url, SSL_CERT_FILE: join(trust, 'ca.crt') },
          }),
        );
      });

      const skopeo = (...args: readonly string[]): Promise<CommandResult> => {
        const inside = hosts.command('skopeo', args);
        return tryCommand(inside.command, inside.arguments, {
          cwd: stage.directory,
          env: { REGISTRY_AUTH_FILE: join(stage.directory, `${folder}-auth.json`) },
        });
      };
      const copy = (from: string, to: string): Promise<CommandResult> =>
        skopeo('--insecure-policy', 'copy', ...trusting(from, 'src'), ...trusting(to, 'dest'), from, to);
      const trusting = (image: string, side: string): string[] =>
        image.startsWith('docker:') ? [`--${side}-cert-dir=${trust}`] : [];
      const remote = (image: string): string => `docker://${at}/plant/${folder}/${image}`;

      it('names nothing but what the client called', async () => {
        const challenged = await ask(way, 'GET', '/v2/plant/hello/tags/list');
        expect(challenged.status).to.equal(401);
        expect(challenged.headers['www-authenticate']).to.contain(`Bearer realm="https://${at}/acr/oauth2/token"`);
        const scope = 'repository:plant/hello:pull,push';
        const token = await ask(way, 'GET', `/acr/oauth2/token?service=any&scope=${scope}`, basic);
        expect(token.status).to.equal(200);
        const { access_token } = JSON.parse(token.body) as { access_token: string };
        const bearer = { authorization: `Bearer ${access_token}` };
        const upload = await ask(way, 'POST', '/v2/plant/hello/blobs/uploads/', bearer);
        expect(upload.status).to.equal(202);
        expect(upload.headers.location).to.match(/^\/v2\/plant\/hello\/blobs\/uploads\/[^/]+$/);
        expect((await ask(way, 'DELETE', String(upload.headers.location), bearer)).status).to.equal(204);
        const wrong = await ask(way, 'GET', '/acr/oauth2/token', { authorization: 'Basic d3Jvbmc6d3Jvbmc=' });
        expect(wrong.status).to.equal(401);
      });

      it('routes /v2 and /acr, and answers 404 for everything else', async () => {
        for (const path of ['/', '/healthz', '/metrics', '/oauth2/token', '/V2/']) {
          expect((await ask(way, 'GET', path, basic)).status, path).to.equal(404);
        }
        // For what Blob Storage is asked the proxy has a route of its own.
        expect((await ask(way, 'GET', '/v2/', { ...basic, 'x-ms-version': '2020-04-08' })).status).to.equal(404);
      });

      it('lets skopeo log in, push, pull and delete', async () => {
        const login = (password: string) =>
          skopeo('login', `--cert-dir=${trust}`, `--username=${operator.name}`, `--password=${password}`, at);
        expect((await login('wrong')).output).to.match(/invalid username\/password/);
        succeeded(await login(operator.password));
        succeeded(await copy('oci:image:1', remote('image:1')));
        succeeded(await copy(remote('image:1'), `oci:${folder}-pulled:1`));
        expect(succeeded(await skopeo('list-tags', `--cert-dir=${trust}`, remote('image')))).to.contain('"1"');
        succeeded(await skopeo('delete', `--cert-dir=${trust}`, remote('image:1')));
        expect((await copy(remote('image:1'), `oci:${folder}-gone:1`)).output).to.contain('manifest unknown');
      });

      it('lets docker log in, push and pull', async () => {
        succeeded(
          await engine.tryDocker(['login', `--username=${operator.name}`, '--password-stdin', at], {
            stdin: operator.password,
          }),
        );
        const archive = join(stage.directory, `${folder}.tar`);
        const local = `${at}/plant/${folder}/docker:1`;
        succeeded(
          await tryCommand(
            'skopeo',
            ['--insecure-policy', 'copy', 'oci:image:1', `docker-archive:${archive}:${local}`],
            { cwd: stage.directory },
          ),
        );
        await engine.docker(['load', '--input', archive]);
        await engine.docker(['push', local]);
        await engine.docker(['image', 'rm', local]);
        await engine.docker(['pull', local]);
        expect(connectProxy.refused, 'a name that the client cannot reach').to.deep.equal([]);
      });

      it('carries a layer of 300 MB up, pushed by skopeo, and down to docker', async () => {
        succeeded(await copy('oci:large:1', remote('large:1')));
        // The module has it whole before it passes it on.
        expect(proxy.program.output).to.match(/client request body is buffered to a temporary file/);
        await engine.docker(['pull', `${at}/plant/${folder}/large:1`]);
        const { bytes } = await pullImage(registry.url, operator, `plant/${folder}/large`, '1');
        expect(bytes).to.be.above(largeBytes);
      });

      // docker compresses what it sends, which takes its time: the longer way is enough.
      if (way.name !== between) return;
      it('carries a layer of 300 MB up, pushed by docker', async () => {
        const archive = join(stage.directory, `${folder}-import.tar`);
        await writeFile(join(stage.directory, 'bytes'), randomBytes(largeBytes));
        await command('tar', ['--create', '--file', archive, '--directory', stage.directory, 'bytes']);
        const image = `${at}/plant/${folder}/imported:1`;
        await engine.docker(['import', archive, image]);
        await engine.docker(['push', image]);
        const { bytes } = await pullImage(registry.url, operator, `plant/${folder}/imported`, '1');
        expect(bytes).to.be.above(largeBytes);
      });
    });
  }

  it('is reached again by the proxy that ran before it, after a restart', async () => {
    const way = { name: top, address: topAddress };
    expect(proxy.program.process.exitCode).to.equal(null);
    await registry.stop();
    expect((await ask(way, 'GET', '/v2/', basic)).status).to.equal(502);
    await registry.start();
    await until('the registry answers', async () => (await ask(way, 'GET', '/v2/', basic)).status === 200);
  });

  it('is the parent of a registry that reaches it through two proxies', async () => {
    const first = sampleImage(['small']);
    await push(registry.endpoint, operator, 'plant/small', first, '1');
    const below = await stage.open(
      startLayer({
        name: child.name,
        directory: join(stage.directory, 'below'),
        site: await stage.open(startEdgeSite({ modules: ['registry'], certificates })),
        hosts: await createHostsFile(join(stage.directory, 'below-hosts'), { [between]: betweenAddress }),
        parent: { endpoint: `${between}:${port}`, protocol: 'https', syncToken: child },
        desired: { ...(await layerSettings({ repositories: ['plant/small'] })), mode: 'ReadOnly' },
      }),
    );
    await arrives(below.url, operator, ['plant/small', '1'], first);
    const second = sampleImage(['changed']);
    await push(registry.endpoint, operator, 'plant/small', second, '1');
    await arrives(below.url, operator, ['plant/small', '1'], second);
  });

  it('is looked up by the proxy at its start alone', async () => {
    const hosts = await createHostsFile(join(stage.directory, 'late-hosts'));
    const way = { name: 'late.plant.example', address: lateAddress };
    const options = {
      ...(await proxyOptions('late', way.name, way.address)),
      registry: `connectedregistry:${registryPort}`,
      hosts,
    };
    const refused = await startApiProxy(options).then(
      () => 'started',
      (error: unknown) => String(error),
    );
    expect(refused).to.match(/host not found in upstream "connectedregistry/);
    await hosts.set({ connectedregistry: '127.0.0.9' });
    const late = await stage.open(startApiProxy(options));
    await hosts.set({ connectedregistry: '127.0.0.1' });
    expect((await ask(way, 'GET', '/v2/', basic)).status).to.equal(502);
    await late.reload();
    expect((await ask(way, 'GET', '/v2/', basic)).status).to.equal(200);
  });

  it('has a configuration for layers in between that fits into a twin', async () => {
    const template = await readFile(new URL('../../api-proxy.pass-through.conf', import.meta.url));
    expect(template.toString('base64')).to.have.length.at.most(limits.textLongest.value);
  });

  describe("below a layer with the module's own template and no registry", () => {
    const way = { name: stock, address: stockAddress };

    it('is reached under /v2 up to 1 MB a request, and sends clients to log in where they may not come', async () => {
      expect((await ask(way, 'GET', '/v2/', basic)).status).to.equal(200);
      const challenge = (await ask(way, 'GET', '/v2/')).headers['www-authenticate'];
      expect(challenge).to.contain(`realm="https://${top}:${port}/acr/oauth2/token"`);
      expect((await ask(way, 'GET', '/acr/oauth2/token', basic)).status).to.equal(404);
      const { location } = (await ask(way, 'POST', '/v2/plant/hello/blobs/uploads/', basic)).headers;
      expect((await ask(way, 'PATCH', String(location), basic, Buffer.alloc(1_000_000))).status).to.equal(202);
      expect((await ask(way, 'PATCH', String(location), basic, Buffer.alloc(1_100_000))).status).to.equal(413);
    });
  });

  interface Answer {
    readonly status: number | undefined;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }

  /** As a client that trusts the edge root alone and calls the gateway by its name. */
  function ask(
    way: Way,
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    body?: Buffer,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asked = request({
        method,
        path,
        port,
        host: way.address,
        servername: way.name,
        ca: certificates.trustBundle,
        headers: { ...headers, host: `${way.name}:${port}`, ...(body && { 'content-length': body.length }) },
        agent: false,
      });
      asked.once('error', reject);
      asked.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() }),
        );
      });
      asked.end(body);
    });
  }
});

const basic = { authorization: `Basic ${Buffer.from(`${operator.name}:${operator.password}`).toString('base64')}` };
