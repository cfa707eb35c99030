import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { command, tryCommand, type CommandResult } from '../helpers/command.ts';
import { Program } from '../helpers/program.ts';
import type { ImageClient, LocalImage } from './client-contract.ts';
import type { ClientStand, Way } from './client-stand.ts';

export interface ContainersTool extends ImageClient {
  readonly run: (...args: readonly string[]) => Promise<CommandResult>;
  /** How this tool is told to trust a way. */
  readonly trust: (way: Way) => string[];
}

/** podman and buildah: two front ends of one library, with the same words. */
export async function startContainersTool(program: 'podman' | 'buildah', stand: ClientStand): Promise<ContainersTool> {
  const directory = join(stand.directory, program);
  await mkdir(directory);
  const storage = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run'), '--storage-driver', 'vfs'];
  const own = program === 'podman' ? ['--cgroup-manager', 'cgroupfs', '--events-backend', 'none'] : [];
  const env = {
    REGISTRY_AUTH_FILE: join(directory, 'auth.json'),
    // For the one command that has no --cert-dir.
    SSL_CERT_FILE: join(stand.certificates, 'ca.crt'),
  };
  // The tools make an image's name of the path they are given, which may hold no capital letter.
  const options = { env, cwd: stand.directory };
  const base = [...storage, ...own];
  const run = (...args: readonly string[]): Promise<CommandResult> => tryCommand(program, [...base, ...args], options);
  const trust = ({ tls }: Way): string[] => (tls ? [`--cert-dir=${stand.certificates}`] : ['--tls-verify=false']);
  /** Puts an image into the tool's storage; its id. */
  const load = (image: LocalImage): Promise<string> =>
    command(program, [...base, 'pull', '--quiet', `oci:${image.folder}:${image.tag}`], options);
  const pullArguments = (way: Way, remote: string): string[] => ['pull', ...trust(way), `${way.host}/${remote}`];
  let lists = 0;

  return {
    run,
    trust,
    version: () => command(program, ['--version']),
    login: (way, { name, password }) =>
      tryCommand(program, [...base, 'login', ...trust(way), `--username=${name}`, '--password-stdin', way.host], {
        ...options,
        stdin: password,
      }),
    async push(image, way, remote) {
      return run('push', ...trust(way), await load(image), `docker://${way.host}/${remote}`);
    },
    pull: (way, remote) => run(...pullArguments(way, remote)),
    pulledIdentity: (way, remote) =>
      command(
        program,
        [
          ...base,
          'inspect',
          ...(program === 'buildah' ? ['--type=image'] : []),
          '--format',
          program === 'podman' ? '{{.Id}}' : '{{.FromImageID}}',
          `${way.host}/${remote}`,
        ],
        options,
      ),
    sentIdentity: load,
    async forget() {
      await run('rmi', '--all', '--force');
    },
    async pushIndex(images, way, remote) {
      const list = `list-${String((lists += 1))}`;
      await command(program, [...base, 'manifest', 'create', list], options);
      for (const image of images) {
        const source = `oci:${image.folder}:${image.tag}`;
        await command(program, [...base, 'manifest', 'add', list, source], options);
      }
      return run('manifest', 'push', '--all', ...trust(way), list, `docker://${way.host}/${remote}`);
    },
    pullIndex: (way, remote) => run(...pullArguments(way, remote)),
    startPull: (way, remote) =>
      new Program({ command: program, arguments: [...base, ...pullArguments(way, remote)], environment: env }),
    ...(program === 'podman' && {
      listTags: ({ tls, host }: Way, repository: string) =>
        run('search', '--list-tags', ...(tls ? [] : ['--tls-verify=false']), `${host}/${repository}`),
    }),
    async close() {
      await run('rmi', '--all', '--force');
    },
  };
}
