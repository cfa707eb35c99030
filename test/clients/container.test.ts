import { expect } from 'chai';
import { chmod, chown, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from '../helpers/command.ts';
import { startDockerEngine, type DockerEngine } from '../helpers/docker-engine.ts';
import { startEdgeSite, type EdgeSite } from '../helpers/edge-site.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { needs } from '../helpers/needs.ts';
import { pullImage } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { layerSettings, operator } from '../hierarchy/layer-settings.ts';
import { knows, push } from '../hierarchy/push.ts';
import { openStage, type Stage } from '../hierarchy/stage.ts';
import { importNodeImages, loadEmptyImage } from './node-images.ts';

const root = new URL('../../', import.meta.url).pathname;
const image = 'connected-registry:built';
const nextImage = 'connected-registry:next';
const moduleId = 'registry';
const user = 1654;
/** How operators are asked to run it: nothing writable but the volume, no capability, no new privilege. */
const confined = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'];

interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly StopSignal: string;
  readonly Volumes?: object;
}

interface Exit {
  readonly code: number;
  readonly stopMs: number;
}

/** The image as its Dockerfile makes it, run by dockerd. */
describe('the container', function () {
  this.timeout(60_000);

  let stage: Stage;
  let engine: DockerEngine;
  /** What the images are built from. */
  let context: string;
  let version: string;
  const figures: string[] = [];

  before(async function () {
    this.timeout(900_000);
    stage = await openStage();
    await needs(this, 'docker', 'dockerd', 'containerd', 'runc', 'debootstrap', 'git', 'tar', 'root');
    engine = await stage.open(startDockerEngine());
    const dockerfile = await readFile(join(root, 'modules/registry/Dockerfile.amd64'), 'utf8');
    const argument = (name: string): string => new RegExp(`^ARG ${name}=(.+)$`, 'm').exec(dockerfile)?.[1] ?? '';
    await importNodeImages(engine, stage.directory, { image: argument('NODE_IMAGE'), tag: argument('NODE_TAG') });
    context = await cleanCopy();
    ({ version } = JSON.parse(await readFile(join(context, 'package.json'), 'utf8')) as { version: string });
    const file = join(context, 'modules/registry/Dockerfile.amd64');
    await build(['--network=host', '--file', file, '--tag', image, context]);
    const layers = await engine.docker(['history', '--format', '{{.Size}} {{.CreatedBy}}', image]);
    figures.push(`image: ${await engine.docker(['image', 'inspect', '--format', '{{.Size}}', image])} bytes`);
    figures.push(...layers.split('\n').filter((layer) => !layer.startsWith('0B')));
  });

  after(async () => {
    await stage.close();
    for (const figure of figures) console.log(`      ${figure}`);
  });

  async function build(args: readonly string[], stdin?: string): Promise<void> {
    await engine.docker(['build', ...args], { env: { DOCKER_BUILDKIT: '0' }, ...(stdin !== undefined && { stdin }) });
  }

  /** The files under version control, as a fresh clone has them. */
  async function cleanCopy(): Promise<string> {
    const [archive, context] = [join(stage.directory, 'source.tar'), join(stage.directory, 'source')];
    const names = await command('git', ['ls-files', '-z'], { cwd: root });
    const pack = ['--create', '--file', archive, '--null', '--files-from=-'];
    await command('tar', pack, { cwd: root, stdin: names });
    await mkdir(context);
    await command('tar', ['--extract', '--file', archive, '--directory', context]);
    return context;
  }

  const logs = async (container: string): Promise<string> => (await engine.tryDocker(['logs', container])).output;

  async function says(container: string, pattern: RegExp): Promise<void> {
    await until(`${container} says ${String(pattern)}`, async () => pattern.test(await logs(container)));
  }

  /** Sends SIGTERM, and SIGKILL when that does not help in ten seconds. */
  async function stop(container: string): Promise<Exit> {
    const began = Date.now();
    await engine.docker(['stop', '--time=10', container]);
    return { stopMs: Date.now() - began, code: await exitCode(container) };
  }

  async function exitCode(container: string): Promise<number> {
    return Number(await engine.docker(['inspect', '--format', '{{.State.ExitCode}}', container]));
  }

  async function stops(container: string): Promise<void> {
    const { code, stopMs } = await stop(container);
    figures.push(`${container} stopped in ${stopMs} ms`);
    expect(code, await logs(container)).to.equal(0);
    expect(stopMs).to.be.below(10_000);
  }

  /** What `script` prints, run with the image's own Node in place of the registry. */
  function inside(script: string): Promise<string> {
    return engine.docker(['run', '--rm', '--network=none', '--entrypoint=node', image, '--eval', script]);
  }

  it('carries its settings, and nothing of the machine that built it', async () => {
    const inspected = await engine.docker(['image', 'inspect', '--format', '{{json .Config}}', image]);
    const config = JSON.parse(inspected) as ImageConfig;
    expect(config.User).to.equal(`${user}:${user}`);
    expect(config.Env.filter((variable) => !variable.startsWith('PATH='))).to.have.members([
      'NODE_ENV=production',
      'MALLOC_ARENA_MAX=2',
      'ACR_REGISTRY_DATA_VOLUME=/var/acr/data',
      'ACR_REGISTRY_CERTIFICATE_VOLUME=/var/acr/certs',
      'ACR_REGISTRY_BIND_ADDRESS=0.0.0.0',
    ]);
    expect(config.Entrypoint[0]).to.equal('node');
    expect(Object.keys(config.ExposedPorts)).to.have.members(['8080/tcp', '8443/tcp', '9600/tcp']);
    expect(config.Labels).to.include({ 'org.opencontainers.image.version': version });
    expect(config.StopSignal).to.equal('SIGTERM');
    expect(config.Volumes ?? {}).to.deep.equal({});
  });

  it('holds the build and what it needs to run, none of it writable', async () => {
    const script = `
      const { accessSync, constants, readdirSync } = require('node:fs');
      const all = readdirSync('/app', { recursive: true });
      const writable = ['', ...all].filter((path) => {
        try { accessSync('/app/' + path, constants.W_OK); return true; } catch { return false; }
      });
      console.log(JSON.stringify({ all, writable }));`;
    const { all, writable } = JSON.parse(await inside(script)) as { all: string[]; writable: string[] };
    expect(writable).to.deep.equal([]);
    const topmost = all.filter((path) => !path.includes('/'));
    expect(topmost).to.have.members(['LICENSE', 'dist', 'node_modules', 'package.json']);
    const packages = all.filter((path) => /^node_modules\/[^/]+$/.test(path));
    expect(packages).to.have.members(['node_modules/classic-level', 'node_modules/node-gyp-build']);
    expect(all).to.include.members(['dist/LICENSES.txt', ...packages.map((path) => `${path}/LICENSE`)]);
    expect(all.filter((path) => path.endsWith('.ts'))).to.deep.equal([]);
    expect(all.filter((path) => /classic-level\/.*\.node$/.test(path))).to.deep.equal([
      'node_modules/classic-level/prebuilds/linux-x64/classic-level.node',
    ]);
  });

  it('is built for another platform without running anything of that platform', async function () {
    this.timeout(300_000);
    const file = join(context, 'modules/registry/Dockerfile.arm64v8');
    const [, tag = ''] = /^ARG NODE_TAG=(.+)$/m.exec(await readFile(file, 'utf8')) ?? [];
    await loadEmptyImage(engine, stage.directory, { name: `arm64v8/node:${tag}`, architecture: 'arm64' });
    await build(['--network=host', '--file', file, '--tag', 'connected-registry:arm64v8', context]);
    const format = ['--format', '{{.Architecture}}', 'connected-registry:arm64v8'];
    expect(await engine.docker(['image', 'inspect', ...format])).to.equal('arm64');
    const container = await engine.docker(['create', 'connected-registry:arm64v8']);
    const prebuilds = '/app/node_modules/classic-level/prebuilds';
    await engine.docker(['cp', `${container}:${prebuilds}`, join(stage.directory, 'prebuilds')]);
    expect(await readdir(join(stage.directory, 'prebuilds'))).to.deep.equal(['linux-arm64']);
  });

  describe('as an IoT Edge module', () => {
    const sample = sampleImage(['kept over stops and upgrades']);
    let site: EdgeSite;
    let port: number;
    let metricsPort: number;

    before(async () => {
      site = await stage.open(startEdgeSite({ modules: [moduleId] }));
      // As the daemon's: any user may connect.
      await chmod(socketOf(site), 0o666);
      site.hub.replaceDesired(moduleId, await layerSettings());
      port = await freePort();
      metricsPort = await freePort();
    });

    const socketOf = ({ workload }: EdgeSite): string => new URL(workload.uri).pathname;
    const reported = () => site.hub.twin(moduleId).reported;

    async function start(container: string, from: string): Promise<void> {
      const variables = {
        ...site.variables(moduleId),
        IOTEDGE_WORKLOADURI: 'unix:///var/run/iotedge/workload.sock',
        ACR_REGISTRY_HTTP_PORT: String(port),
        ACR_REGISTRY_HTTPS_PORT: 'off',
        ACR_REGISTRY_METRICS_PORT: String(metricsPort),
        ACR_REGISTRY_BIND_ADDRESS: '127.0.0.1',
      };
      const began = Date.now();
      await engine.docker([
        ...['run', '--detach', '--name', container, '--network=host', ...confined],
        ...['--volume', 'registry-data:/var/acr/data'],
        ...['--volume', `${socketOf(site)}:/var/run/iotedge/workload.sock`],
        ...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
        from,
      ]);
      await answers(container, began);
    }

    async function answers(container: string, began: number): Promise<void> {
      try {
        await until(`${container} is up`, async () => (await fetch(`http://127.0.0.1:${metricsPort}/healthz`)).ok);
      } catch (cause) {
        throw new Error(await logs(container), { cause });
      }
      figures.push(`${container} answered after ${Date.now() - began} ms`);
    }

    async function keepsAll(): Promise<void> {
      const pulled = await pullImage(`http://127.0.0.1:${port}`, operator, 'plant/hello', '1');
      expect(pulled.digest).to.equal(sample.manifest.digest);
    }

    it('takes a push, is stopped, started and upgraded, and keeps images and activation', async () => {
      await start('first', image);
      await knows(`http://127.0.0.1:${port}`, operator);
      await push(`127.0.0.1:${port}`, operator, 'plant/hello', sample, '1');
      await site.hub.waitFor(() => reported()['version'] === version);
      expect(reported()).to.have.nested.property('activation.status', 'Active');
      const { activation } = reported();
      await stops('first');

      const began = Date.now();
      await engine.docker(['start', 'first']);
      await answers('first', began);
      await keepsAll();
      await stops('first');
      await engine.docker(['rm', 'first']);

      const newer = `FROM ${image}\nUSER 0\nRUN sed -i 's/"version": "[^"]*"/"version": "99.0.0"/' /app/package.json\n`;
      await build(['--network=host', '--tag', nextImage, '-'], `${newer}USER ${user}:${user}\n`);
      await start('upgraded', nextImage);
      await site.hub.waitFor(() => reported()['version'] === '99.0.0');
      await keepsAll();
      expect(reported()['activation']).to.deep.include({
        status: 'Active',
        instanceId: (activation as { instanceId: string }).instanceId,
      });
      await stops('upgraded');
    });
  });

  describe('outside IoT Edge, without a network', () => {
    const run = (container: string, ...options: readonly string[]): Promise<string> =>
      engine.docker(['run', '--detach', '--name', container, '--network=none', ...confined, ...options, image]);

    async function ends(container: string): Promise<number> {
      return Number(await engine.docker(['wait', container]));
    }

    it('starts with a new named volume and prints the admin password once', async () => {
      await run('alone', '--volume=alone-data:/var/acr/data');
      await says('alone', /connected registry started/);
      const ask = `fetch('http://127.0.0.1:8080/v2/').then(({ status }) => console.log(status))`;
      expect(await engine.docker(['exec', 'alone', 'node', '--eval', ask])).to.equal('401');
      await stops('alone');
      await engine.docker(['start', 'alone']);
      await until('it has started twice', async () => (await logs('alone')).split('registry started').length === 3);
      expect((await logs('alone')).match(/password/g)).to.have.length(1);
      await stops('alone');
    });

    it('ends with code 0 when it is stopped while it starts', async () => {
      await run('hasty', '--volume=hasty-data:/var/acr/data');
      await says('hasty', /connected registry starts/);
      await stops('hasty');
    });

    it('says what to do about a host folder of another user, and then starts', async () => {
      const folder = join(stage.directory, 'host-folder');
      await mkdir(folder);
      await chmod(stage.directory, 0o755);
      await run('bound', `--volume=${folder}:/var/acr/data`);
      expect(await ends('bound')).to.equal(1);
      expect(await logs('bound'))
        .to.contain(`chown -R ${user}:${user}`)
        .and.contain('/var/acr/data');
      await chown(folder, user, user);
      await engine.docker(['start', 'bound']);
      await says('bound', /connected registry started/);
      await stops('bound');
    });

    it('says that a volume is missing where nothing is writable', async () => {
      await run('volumeless');
      expect(await ends('volumeless')).to.equal(1);
      expect(await logs('volumeless')).to.contain('mount a writable volume');
    });
  });
});
