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
  close(): Promise<void>;
}

const root = new URL('../../', import.meta.url).pathname;

/** The registry at the very top: Debian's docker-registry where it is installed, else this product without a parent. */
export async function startCloud(options: { readonly directory: string; readonly account: Account }): Promise<Cloud> {
  const { directory, account } = options;
  if (await hasDockerRegistry()) {
    const registry = await startDockerRegistry({ directory, ...account });
    return {
      kind: "Debian's docker-registry with htpasswd",
      endpoint: registry.endpoint,
      close: () => registry.stop(),
    };
  }
  const port = await freePort();
  const endpoint = `127.0.0.1:${port}`;
  const actions = ['content/read', 'content/write', 'content/delete', 'metadata/read', 'metadata/write'];
  const settings = {
    scopeMaps: [{ name: 'everything', actions: actions.map((action) => `repositories/*/${action}`) }],
    clientTokens: [
      {
        name: account.name,
        scopeMap: 'everything',
        passwords: [{ name: 'password1', hash: await hashPassword(account.password) }],
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
      ACR_REGISTRY_METRICS_PORT: 'off',
    },
  });
  const authorization = `Basic ${Buffer.from(`${account.name}:${account.password}`).toString('base64')}`;
  await until('the cloud registry knows its account', async () => {
    return (await fetch(`http://${endpoint}/v2/`, { headers: { authorization } })).ok;
  });
  return {
    kind: 'a connected registry without a parent',
    endpoint,
    async close() {
      await program.stop();
    },
  };
}
