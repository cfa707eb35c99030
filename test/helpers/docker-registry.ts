import { hash } from 'bcryptjs';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { Program } from './program.ts';
import { until } from './until.ts';

export const dockerRegistryPath = '/usr/bin/docker-registry';

export interface DockerRegistry {
  /** host:port, plain HTTP. */
  readonly endpoint: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function hasDockerRegistry(): Promise<boolean> {
  return access(dockerRegistryPath).then(
    () => true,
    () => false,
  );
}

/** Debian's docker-registry on a free port, with deletes and one htpasswd account. */
export async function startDockerRegistry(options: {
  readonly directory: string;
  readonly name: string;
  readonly password: string;
}): Promise<DockerRegistry> {
  const { directory, name, password } = options;
  const port = await freePort();
  const endpoint = `127.0.0.1:${port}`;
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'htpasswd'), `${name}:${await hash(password, 4)}\n`);
  const settings = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'content') }, delete: { enabled: true } },
    http: { addr: endpoint, secret: 'test' },
    auth: { htpasswd: { realm: 'cloud', path: join(directory, 'htpasswd') } },
  };
  const file = join(directory, 'config.yml');
  await writeFile(file, JSON.stringify(settings));
  let program: Program | undefined;
  const registry: DockerRegistry = {
    endpoint,
    async start() {
      program = new Program({ command: dockerRegistryPath, arguments: ['serve', file] });
      await until('docker-registry answers', async () => (await fetch(`http://${endpoint}/v2/`)).status === 401);
    },
    async stop() {
      await program?.stop();
      program = undefined;
    },
  };
  await registry.start();
  return registry;
}
