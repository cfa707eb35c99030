import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command, tryCommand, type CommandResult } from '../helpers/command.ts';
import { Program } from '../helpers/program.ts';
import type { Account } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';
import { describeClient, type ImageClient, type LocalImage } from './client-contract.ts';
import type { ClientStand, Way } from './client-stand.ts';
import { mergeLayouts } from './oci-layout.ts';

describeClient({
  name: 'containerd',
  needs: ['containerd', 'ctr', 'nginx', 'root'],
  start: startContainerd,
  // ctr 1.6 shows no body of an answer.
  says: { denied: /403 Forbidden/, readOnly: /405 Method Not Allowed/ },
  resumes: 'at the next pull',
});

/** containerd by hand, with ctr as its client; what it trusts stands in a hosts directory, as the CRI plugin has it. */
async function startContainerd(stand: ClientStand): Promise<ImageClient> {
  const directory = await mkdtemp('/tmp/cr-');
  const address = join(directory, 'c.sock');
  const hosts = join(directory, 'hosts');
  const config = join(directory, 'config.toml');
  await writeFile(
    config,
    `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${address}"
`,
  );
  for (const { host } of stand.ways.filter(({ tls }) => tls)) {
    await mkdir(join(hosts, host), { recursive: true });
    const [url, ca] = [`https://${host}`, `ca = "${join(stand.certificates, 'ca.crt')}"`];
    // Named twice: ctr asks the host's entry first, then the server itself.
    const trust = `server = "${url}"\n${ca}\n[host."${url}"]\n${ca}\n`;
    await writeFile(join(hosts, host, 'hosts.toml'), trust);
  }
  // Mounts in a namespace of its own, gone with it.
  const daemon = new Program({ command: 'unshare', arguments: ['--mount', 'containerd', '--config', config] });
  const base = ['--address', address];
  const run = (...args: readonly string[]): Promise<CommandResult> => tryCommand('ctr', [...base, ...args]);
  const must = (...args: readonly string[]): Promise<string> => command('ctr', [...base, ...args]);
  let account: Account | undefined;
  const access = ({ tls }: Way): string[] => [
    ...(tls ? [`--hosts-dir=${hosts}`] : ['--plain-http']),
    ...(account ? [`--user=${account.name}:${account.password}`] : []),
  ];
  const pullArguments = (way: Way, remote: string, ...more: string[]): string[] => [
    ...['image', 'pull', '--snapshotter=native', ...more, ...access(way), `${way.host}/${remote}`],
  ];

  /** Imports a layout; its image is then called as the folder. */
  async function load({ folder, tag }: LocalImage): Promise<string> {
    const archive = join(stand.directory, `${folder}.tar`);
    await command('tar', ['--create', '--file', archive, '--directory', join(stand.directory, folder), '.']);
    const base = `local/${folder}`;
    await must('image', 'import', '--no-unpack', '--all-platforms', '--base-name', base, archive);
    return `${base}:${tag}`;
  }

  async function digestOf(name: string): Promise<string> {
    const row = (await must('image', 'ls', `name==${name}`)).split('\n')[1] ?? '';
    const digest = /sha256:[0-9a-f]{64}/.exec(row)?.[0];
    if (digest === undefined) throw new Error(`no image ${name}`);
    return digest;
  }

  const client: ImageClient = {
    version: async () => (await must('version')).replaceAll('\n', ' ').replace(/^.*Server:\s+/, 'containerd '),
    /** ctr keeps no credentials: a question for an image that is not there shows whether these are taken. */
    async login(way, credentials) {
      account = credentials;
      const asked = await run(...pullArguments(way, 'plant/containerd/none:1'));
      return asked.output.includes('not found') ? { ...asked, code: 0 } : asked;
    },
    push: async (image, way, remote) =>
      run('image', 'push', ...access(way), `${way.host}/${remote}`, await load(image)),
    pull: (way, remote) => run(...pullArguments(way, remote)),
    pulledIdentity: (way, remote) => digestOf(`${way.host}/${remote}`),
    sentIdentity: async (image) => digestOf(await load(image)),
    async forget() {
      const names = (await must('image', 'ls', '--quiet')).split('\n').filter(Boolean);
      if (names.length > 0) await must('image', 'rm', '--sync', ...names);
    },
    async pushIndex(images, way, remote) {
      const folders = images.map(({ folder }) => join(stand.directory, folder));
      await mergeLayouts(join(stand.directory, 'merged'), folders);
      return client.push({ folder: 'merged', tag: '1' }, way, remote);
    },
    pullIndex: (way, remote) => run(...pullArguments(way, remote, '--all-platforms')),
    startPull: (way, remote) => new Program({ command: 'ctr', arguments: [...base, ...pullArguments(way, remote)] }),
    keepsPart: async () => /^layer-\S+\s+[1-9]/m.test(await must('content', 'active')),
    async close() {
      await daemon.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await until('containerd answers', async () => (await run('version')).code === 0);
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}
