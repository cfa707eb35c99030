import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Program } from './program.ts';
import { until } from './until.ts';

export interface DockerEngineOptions {
  /** For the daemon and for `docker` alike, such as `HTTPS_PROXY`, or `SSL_CERT_FILE` for a root of one's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** More arguments for dockerd, such as `--insecure-registry=host:port`. */
  readonly arguments?: readonly string[];
}

export interface DockerRun {
  readonly stdin?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
}

/** How a `docker` command ended; `output` is what it wrote to stdout, then to stderr. */
export interface DockerResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly output: string;
}

/** Debian's dockerd with containers, images, credentials and socket of its own. */
export interface DockerEngine {
  /** `unix:///…`, for other programs' DOCKER_HOST. */
  readonly host: string;
  /** What `docker login` wrote lies here, in `config.json`. */
  readonly configDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Runs `docker` to its end; resolves to its trimmed stdout, throws with all it said unless it ends with 0. */
  docker(args: readonly string[], run?: DockerRun): Promise<string>;
  /** The same where a failure is an answer too. */
  tryDocker(args: readonly string[], run?: DockerRun): Promise<DockerResult>;
  /** Everything dockerd has logged. */
  readonly log: string;
  /** Ends dockerd, its containers and its containerd, and removes all they kept. */
  close(): Promise<void>;
}

const stopLimitMs = 20_000;

/**
 * Starts dockerd by hand; needs root. It changes nothing outside its own temporary directory: no bridge and no firewall
 * rules, so containers run with `--network none` or `host`, and mounts in a namespace of its own, gone with it.
 */
export async function startDockerEngine(options: DockerEngineOptions = {}): Promise<DockerEngine> {
  // Short: the path of a unix socket ends at 107 bytes, and containerd adds to it.
  const directory = await mkdtemp('/tmp/cr-');
  const host = `unix://${directory}/docker.sock`;
  const configDirectory = join(directory, 'config');
  const execRoot = join(directory, 'exec');
  await mkdir(configDirectory);
  // Instead of the machine's own.
  const settings = join(directory, 'daemon.json');
  await writeFile(settings, '{}');
  const environment = { DOCKER_HOST: host, DOCKER_CONFIG: configDirectory, ...options.environment };
  const daemon = new Program({
    command: 'unshare',
    arguments: [
      ...['--mount', '/usr/sbin/dockerd', '--host', host, '--config-file', settings],
      ...['--data-root', join(directory, 'data'), '--exec-root', execRoot, '--pidfile', join(directory, 'pid')],
      ...['--iptables=false', '--ip6tables=false', '--bridge=none', ...(options.arguments ?? [])],
    ],
    environment,
  });

  const tryDocker = (args: readonly string[], { stdin, env }: DockerRun = {}): Promise<DockerResult> =>
    runDocker(args, { PATH: process.env['PATH'], HOME: directory, ...environment, ...env }, stdin);

  async function docker(args: readonly string[], run?: DockerRun): Promise<string> {
    const { code, stdout, output } = await tryDocker(args, run);
    if (code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${String(code)}:\n${output}`);
    return stdout.trim();
  }

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
    environment,
    docker,
    tryDocker,
    get log() {
      return daemon.output;
    },
    close,
  };
}

function runDocker(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  stdin: string | Buffer | undefined,
): Promise<DockerResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', args, { env });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      const said = Buffer.concat(stdout).toString();
      resolve({ code, stdout: said, output: said + Buffer.concat(stderr).toString() });
    });
    // A command that ends before it has read its input says why by itself.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
  });
}
