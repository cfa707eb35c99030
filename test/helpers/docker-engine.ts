import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { command, tryCommand, type CommandOptions, type CommandResult } from './command.ts';
import { Program } from './program.ts';
import { until } from './until.ts';

export interface DockerEngineOptions {
  /** For the daemon and for `docker` alike, such as `HTTPS_PROXY`, or `SSL_CERT_FILE` for a root of one's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** More arguments for dockerd, such as `--insecure-registry=host:port`. */
  readonly arguments?: readonly string[];
}

/** Debian's dockerd with containers, images, credentials and socket of its own. */
export interface DockerEngine {
  /** `unix:///…`, for other programs' DOCKER_HOST. */
  readonly host: string;
  /** What `docker login` wrote lies here, in `config.json`. */
  readonly configDirectory: string;
  /** In place of `/etc/docker/certs.d`: `<host:port>/ca.crt` is trusted from the next request on. */
  readonly certificates: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Runs `docker` to its end; resolves to its trimmed stdout, throws with all it said unless it ends with 0. */
  readonly docker: (args: readonly string[], run?: CommandOptions) => Promise<string>;
  /** The same where a failure is an answer too. */
  readonly tryDocker: (args: readonly string[], run?: CommandOptions) => Promise<CommandResult>;
  /** Everything dockerd has logged. */
  readonly log: string;
  /** Ends dockerd, its containers and its containerd, and removes all they kept. */
  close(): Promise<void>;
}

const stopLimitMs = 20_000;

/**
 * Starts dockerd by hand; needs root. Outside its own directory dockerd makes nothing: no bridge and no firewall rules,
 * so containers run with `--network none` or `host`, a `/etc/docker` of its own, and mounts in a namespace of its own,
 * gone with it.
 */
export async function startDockerEngine(options: DockerEngineOptions = {}): Promise<DockerEngine> {
  // Short: the path of a unix socket ends at 107 bytes, and containerd adds to it.
  const directory = await mkdtemp('/tmp/cr-');
  const host = `unix://${directory}/docker.sock`;
  const configDirectory = join(directory, 'config');
  const execRoot = join(directory, 'exec');
  const etc = join(directory, 'etc');
  const certificates = join(etc, 'certs.d');
  await Promise.all([mkdir(configDirectory), mkdir(certificates, { recursive: true })]);
  // Instead of the machine's own.
  const settings = join(directory, 'daemon.json');
  await writeFile(settings, '{}');
  const environment = { DOCKER_HOST: host, DOCKER_CONFIG: configDirectory, ...options.environment };
  const daemon = new Program({
    command: 'unshare',
    arguments: [
      ...['--mount', 'sh', '-c', 'mkdir -p /etc/docker && mount --bind "$0" /etc/docker && exec "$@"', etc],
      ...['/usr/sbin/dockerd', '--host', host, '--config-file', settings],
      ...['--data-root', join(directory, 'data'), '--exec-root', execRoot, '--pidfile', join(directory, 'pid')],
      ...['--iptables=false', '--ip6tables=false', '--bridge=none', ...(options.arguments ?? [])],
    ],
    environment,
  });

  const within = (run: CommandOptions = {}): CommandOptions => ({
    ...run,
    env: { HOME: directory, ...environment, ...run.env },
  });
  const tryDocker: DockerEngine['tryDocker'] = (args, run) => tryCommand('docker', args, within(run));

  async function close(): Promise<void> {
    const containers = (await tryDocker(['ps', '--all', '--quiet'])).stdout.split('\n').filter(Boolean);
    if (containers.length > 0) await tryDocker(['rm', '--force', ...containers]);
    const containerd = await readFile(join(execRoot, 'containerd/containerd.pid'), 'utf8').catch(() => undefined);
    daemon.process.kill('SIGTERM');
    const stopped = new AbortController();
    const late = delay(stopLimitMs, 'late', { signal: stopped.signal });
    if ((await Promise.race([daemon.exited, late])) === 'late') {
      await daemon.kill();
      if (containerd !== undefined) process.kill(Number(containerd), 'SIGKILL');
    }
    stopped.abort();
    late.catch(() => undefined);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }

  try {
    const ended = daemon.exited.then((code) => {
      throw new Error(`dockerd ended with ${String(code)} at its start:\n${daemon.output}`);
    });
    ended.catch(() => undefined);
    await Promise.race([until('dockerd answers', async () => (await tryDocker(['info'])).code === 0), ended]);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    host,
    configDirectory,
    certificates,
    environment,
    docker: (args, run) => command('docker', args, within(run)),
    tryDocker,
    get log() {
      return daemon.output;
    },
    close,
  };
}
