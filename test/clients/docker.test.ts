import { expect } from 'chai';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from '../helpers/command.ts';
import { startDockerEngine, type DockerEngine } from '../helpers/docker-engine.ts';
import { Program } from '../helpers/program.ts';
import { describeClient, succeeded, type ImageClient, type LocalImage } from './client-contract.ts';
import { operator, siteName, type ClientStand, type Way } from './client-stand.ts';
import { startConnectProxy } from './connect-proxy.ts';

interface DockerClient extends ImageClient {
  readonly engine: DockerEngine;
}

let docker: DockerClient;

describeClient(
  {
    name: 'docker',
    needs: ['docker', 'dockerd', 'containerd', 'runc', 'skopeo', 'busybox', 'nginx', 'root'],
    start: async (stand) => (docker = await startDocker(stand)),
    resumes: 'within a pull',
  },
  (context) => {
    it('keeps a refresh token instead of the password, pushes with it, and is nobody after its logout', async function () {
      // docker would try again for 50 seconds, did it not understand the refusal.
      this.timeout(30_000);
      const { stand, way, images } = context();
      const https = way('HTTPS');
      const before = await stand.traffic();
      succeeded(await docker.login(https, operator));
      const file = join(docker.engine.configDirectory, 'config.json');
      const { auths } = JSON.parse(await readFile(file, 'utf8')) as {
        auths: Record<string, { auth?: string; identitytoken?: string }>;
      };
      const kept = auths[siteHost(https)];
      expect(kept?.identitytoken).to.be.a('string');
      expect(Buffer.from(kept?.auth ?? '', 'base64').toString()).not.to.contain(operator.password);
      succeeded(await docker.push(images[0]!, https, 'plant/docker/refreshed:1'));
      const granted = (await stand.traffic()).requests('token', 'POST', 200) - before.requests('token', 'POST', 200);
      expect(granted).to.be.at.least(1);

      await docker.engine.docker(['logout', siteHost(https)]);
      const refused = await docker.push(images[0]!, https, 'plant/docker/refreshed:2');
      expect(refused.code).not.to.equal(0);
      expect(refused.output).to.match(/unauthorized|no basic auth credentials/);
    });

    it('trusts our certificate by the private root alone', async () => {
      const { way } = context();
      const stranger = await startDockerEngine({
        environment: { HTTPS_PROXY: docker.engine.environment['HTTPS_PROXY'] ?? '' },
      });
      try {
        const refused = await stranger.tryDocker(['pull', `${siteHost(way('HTTPS'))}/plant/docker/https/image:1`]);
        expect(refused.output).to.match(/certificate signed by unknown authority/);
      } finally {
        await stranger.close();
      }
    });

    it('runs a container of a pulled image', async () => {
      const { stand, way } = context();
      const https = way('HTTPS');
      succeeded(await docker.login(https, operator));
      const tree = join(stand.directory, 'busybox');
      await mkdir(tree);
      const archive = join(stand.directory, 'busybox.tar');
      await command('cp', ['/bin/busybox', tree]);
      await command('tar', ['--create', '--file', archive, '--directory', tree, '.']);
      const remote = `${siteHost(https)}/plant/docker/busybox:1`;
      await docker.engine.docker(['import', archive, remote]);
      await docker.engine.docker(['push', remote]);
      await docker.forget();
      const said = await docker.engine.docker(['run', '--rm', '--network=none', remote, '/busybox', 'echo', 'hello']);
      expect(said).to.equal('hello');
    });
  },
);

/** Where TLS is to be verified docker has to be given a name: it trusts what is at a loopback address. */
function siteHost({ host, port, tls }: Way): string {
  return tls ? `${siteName}:${port}` : host;
}

/** dockerd by hand; `docker manifest` works without it, from the same credentials. */
async function startDocker(stand: ClientStand): Promise<DockerClient> {
  const proxy = await startConnectProxy();
  const engine = await startDockerEngine({
    environment: { HTTPS_PROXY: proxy.url, SSL_CERT_FILE: join(stand.certificates, 'ca.crt') },
  });
  const { docker: run, tryDocker } = engine;
  const nameOf = (way: Way, remote: string): string => `${siteHost(way)}/${remote}`;

  /** docker takes no OCI layouts; its own archive format brings the same layers. The image's id. */
  async function load({ folder, tag }: LocalImage): Promise<string> {
    const archive = join(stand.directory, `${folder}-docker.tar`);
    await rm(archive, { force: true });
    const [from, to] = [`oci:${folder}:${tag}`, `docker-archive:${archive}:local/${folder}:1`];
    await command('skopeo', ['--insecure-policy', 'copy', from, to], { cwd: stand.directory });
    await run(['load', '--input', archive]);
    return identity(`local/${folder}:1`);
  }

  function identity(name: string): Promise<string> {
    return run(['image', 'inspect', '--format={{.Id}}', name]);
  }

  const client: DockerClient = {
    engine,
    version: () => run(['version', '--format=docker {{.Client.Version}}, dockerd {{.Server.Version}}']),
    login: (way, { name, password }) =>
      tryDocker(['login', `--username=${name}`, '--password-stdin', siteHost(way)], { stdin: password }),
    async push(image, way, remote) {
      await run(['tag', await load(image), nameOf(way, remote)]);
      return tryDocker(['push', nameOf(way, remote)]);
    },
    pull: (way, remote) => tryDocker(['pull', nameOf(way, remote)]),
    pulledIdentity: (way, remote) => identity(nameOf(way, remote)),
    sentIdentity: load,
    async forget() {
      const ids = (await run(['image', 'ls', '--all', '--quiet'])).split('\n').filter(Boolean);
      if (ids.length > 0) await run(['image', 'rm', '--force', ...new Set(ids)]);
    },
    async pushIndex(images, way, remote) {
      const names: string[] = [];
      for (const image of images) {
        const name = `${remote}-${image.folder}`;
        succeeded(await client.push(image, way, name));
        names.push(nameOf(way, name));
      }
      const insecure = way.tls ? [] : ['--insecure'];
      await run(['manifest', 'create', ...insecure, nameOf(way, remote), ...names]);
      return tryDocker(['manifest', 'push', ...insecure, nameOf(way, remote)]);
    },
    pullIndex: (way, remote) => client.pull(way, remote),
    startPull: (way, remote) =>
      new Program({ command: 'docker', arguments: ['pull', nameOf(way, remote)], environment: engine.environment }),
    async close() {
      await engine.close();
      await proxy.close();
    },
  };
  return client;
}
