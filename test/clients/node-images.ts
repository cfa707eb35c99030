import { chmod, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { command } from '../helpers/command.ts';
import type { DockerEngine } from '../helpers/docker-engine.ts';

/** What a machine behind a proxy or a mirror needs to install packages; kept out of the image that is tested. */
const networkVariables = ['npm_config_registry', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

/**
 * Stand-ins for the images that a Dockerfile begins from, under their very tags: Debian of that release with the Node
 * of this machine. `node:<tag>`, where packages are installed, also has npm and this machine's way to the network.
 */
export async function importNodeImages(
  engine: DockerEngine,
  directory: string,
  { image, tag }: { readonly image: string; readonly tag: string },
): Promise<void> {
  const [, release] = /^\d+-(\w+)-slim$/.exec(tag) ?? [];
  if (release === undefined) throw new Error(`${tag} names no Debian release`);
  const tree = join(directory, 'debian');
  await command('debootstrap', ['--variant=minbase', release, tree]);
  for (const unwanted of ['var/cache/apt', 'var/lib/apt/lists']) await rm(join(tree, unwanted), { recursive: true });
  await mkdir(join(tree, 'usr/local/bin'), { recursive: true });
  await cp(process.execPath, join(tree, 'usr/local/bin/node'));
  const archive = join(directory, 'node.tar');
  await command('tar', ['--create', '--file', archive, '--directory', tree, '.']);
  await rm(tree, { recursive: true });
  await engine.docker(['import', archive, `${image}:${tag}`]);
  await rm(archive);

  const context = join(directory, 'npm');
  const local = join(context, 'files/usr/local');
  await mkdir(join(local, 'bin'), { recursive: true });
  await cp(await npmDirectory(), join(local, 'lib/node_modules/npm'), { recursive: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
  const environment = networkVariables.flatMap((name) => {
    const value = process.env[name];
    return value ? [`ENV ${name}=${JSON.stringify(value)}`] : [];
  });
  const roots = process.env['NODE_EXTRA_CA_CERTS'];
  if (roots) {
    await writeFile(join(context, 'files/roots.pem'), await readFile(roots));
    await chmod(join(context, 'files/roots.pem'), 0o644);
    environment.push('ENV NODE_EXTRA_CA_CERTS=/roots.pem');
  }
  await writeFile(join(context, 'Dockerfile'), [`FROM ${image}:${tag}`, 'COPY files /', ...environment, ''].join('\n'));
  await engine.docker(['build', '--tag', `node:${tag}`, context], { env: { DOCKER_BUILDKIT: '0' } });
}

/** An image of any architecture that holds nothing, so that nothing of it can run. */
export async function loadEmptyImage(
  engine: DockerEngine,
  directory: string,
  { name, architecture }: { readonly name: string; readonly architecture: string },
): Promise<void> {
  const folder = join(directory, 'empty-image');
  await mkdir(folder);
  const layer = join(folder, 'layer.tar');
  await command('tar', ['--create', '--file', layer, '--files-from=/dev/null']);
  const rootfs = { type: 'layers', diff_ids: [digestOf(await readFile(layer))] };
  await writeFile(join(folder, 'config.json'), JSON.stringify({ architecture, os: 'linux', config: {}, rootfs }));
  const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }];
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(directory, 'empty-image.tar');
  await command('tar', ['--create', '--file', archive, '--directory', folder, '.']);
  await engine.docker(['load', '--input', archive]);
}

/** The npm that belongs to this Node. */
async function npmDirectory(): Promise<string> {
  const root = await command('npm', ['root', '--global']);
  const npm = join(root, 'npm');
  await readFile(join(npm, 'bin/npm-cli.js')).catch((cause: unknown) => {
    throw new Error(`no npm in ${dirname(npm)}`, { cause });
  });
  return npm;
}
