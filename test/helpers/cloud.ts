import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { hasDockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { freePort } from './free-port.ts';
import { Program } from './program.ts';
import type { Account } from './pull-image.ts';
import { until } from './until.ts';

export interface Cloud {
  readonly kind: string;
  /** host:port, plain HTTP. */
  readonly endpoint: string;
  /** Of a connected registry. */
  readonly metricsUrl?: string;
  close(): Promise<void>;
}

export interface CloudOptions {
  /** Holds the content, and outlives the registry. */
  readonly directory: string;
  readonly account: Account;
  /** Debian's docker-registry where it is installed, else this product, when absent. */
  readonly kind?: 'docker-registry' | 'connected-registry';
  /** Where a connected registry listens; any free port when absent. */
  readonly port?: number;
  /** The name of the one child of a connected registry; `account` is its sync token then, and may do everything. */
  readonly registryBelow?: string;
}

const root = new URL('../../', import.meta.url).pathname;

/** The registry at the very top: Debian's docker-registry, or this product without a parent. */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { directory, account, registryBelow } = options;
  const kind = options.kind ?? ((await hasDockerRegistry()) ? 'docker-registry' : 'connected-registry');
  if (kind === 'docker-registry') {
    const registry = await startDockerRegistry({ directory, ...account });
    return {
      kind: "Debian's docker-registry with htpasswd",
      endpoint: registry.endpoint,
      close: () => registry.stop(),
    };
  }
  const port = options.port ?? (await freePort());
  const metricsPort = await freePort();
  const endpoint = `127.0.0.1:${port}`;
  const verbs = ['content/read', 'content/write', 'content/delete', 'metadata/read', 'metadata/write'];
  const actions = verbs.map((verb) => `repositories/*/${verb}`);
  const passwords = [{ name: 'password1', hash: await hashPassword(account.password) }];
  const settings = {
    scopeMaps: [{ name: 'everything', actions }],
    clientTokens: registryBelow === undefined ? [{ name: account.name, scopeMap: 'everything', passwords }] : [],
    children:
      registryBelow === undefined
        ? []
        : [
            {
              name: registryBelow,
              mode: 'ReadWrite',
              repositories: ['*'],
              syncToken: { name: account.name, passwords },
            },
          ],
  };
  await mkdir(directory, { recursive: true });
  const settingsFile = join(directory, 'settings.json');
  await writeFile(settingsFile, JSON.stringify(settings));
  const program = new Program({
    command: process.execPath,
    arguments: ['--import', 'tsx', 'modules/registry/src/main.ts'],
    cwd: root,
    environment: {
      ACR_REGISTRY_SETTINGS_FILE: settingsFile,
      ACR_REGISTRY_DATA_VOLUME: join(directory, 'data'),
      ACR_REGISTRY_HTTP_PORT: String(port),
      ACR_REGISTRY_HTTPS_PORT: 'off',
      ACR_REGISTRY_METRICS_PORT: String(metricsPort),
    },
  });
  const authorization = `Basic ${Buffer.from(`${account.name}:${account.password}`).toString('base64')}`;
  const answers = until('the cloud registry knows its account', async () => {
    return (await fetch(`http://${endpoint}/v2/`, { headers: { authorization } })).ok;
  });
  try {
    await Promise.race([answers, program.exited.then(() => Promise.reject(new Error('the cloud registry ended')))]);
  } catch (cause) {
    await program.stop();
    throw new Error(`the cloud registry did not start:\n${program.output}`, { cause });
  }
  return {
    kind: 'a connected registry without a parent',
    endpoint,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    async close() {
      await program.stop();
    },
  };
}
