import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import type { StoredManifest } from '../../modules/registry/src/oci/registry.ts';
import { dockerRegistryPath } from '../helpers/docker-registry.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { Program } from '../helpers/program.ts';
import { authorize } from '../helpers/pull-image.ts';
import { until } from '../helpers/until.ts';

/** One registry under load. */
export interface Contender {
  readonly name: 'ours' | 'docker-registry';
  readonly url: string;
  readonly program: Program;
  /** What identifies a client of it; nothing where nobody asks. */
  readonly headers: Readonly<Record<string, string>>;
}

export const benchRepository = 'bench/image';
const account = { name: 'bench', password: 'bench-password' };
const root = new URL('../../', import.meta.url).pathname;

/** The build, with bearer authentication on, as its users run it. */
export async function startOurs(directory: string): Promise<Contender> {
  const port = await freePort();
  const actions = ['content/read', 'content/write', 'metadata/read'];
  const settingsFile = join(directory, 'settings.json');
  await writeFile(
    settingsFile,
    JSON.stringify({
      scopeMaps: [{ name: 'bench', actions: actions.map((action) => `repositories/*/${action}`) }],
      clientTokens: [
        {
          name: account.name,
          scopeMap: 'bench',
          passwords: [{ name: 'password1', hash: await hashPassword(account.password) }],
        },
      ],
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  const program = new Program({
    command: process.execPath,
    arguments: ['dist/modules/registry/src/main.js'],
    cwd: root,
    environment: {
      ACR_REGISTRY_SETTINGS_FILE: settingsFile,
      ACR_REGISTRY_DATA_VOLUME: join(directory, 'data'),
      ACR_REGISTRY_HTTP_PORT: String(port),
      ACR_REGISTRY_METRICS_PORT: 'off',
    },
  });
  const authorization = await until('ours answers', () => authorize(url, account, benchRepository, 'pull,push'));
  return { name: 'ours', url, program, headers: { authorization } };
}

/** Debian's, at its fastest: no authentication, no access log, descriptors cached in memory. */
export async function startPeer(directory: string): Promise<Contender> {
  const port = await freePort();
  const file = join(directory, 'config.yml');
  await writeFile(
    file,
    JSON.stringify({
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'content') }, cache: { blobdescriptor: 'inmemory' } },
      http: { addr: `127.0.0.1:${port}`, secret: 'bench' },
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  const program = new Program({ command: dockerRegistryPath, arguments: ['serve', file] });
  await until('docker-registry answers', async () => (await fetch(`${url}/v2/`)).ok);
  return { name: 'docker-registry', url, program, headers: {} };
}

export async function pushContent(contender: Contender, bytes: Buffer): Promise<string> {
  const { headers } = contender;
  const digest = digestOf(bytes);
  const begun = await fetch(`${contender.url}/v2/${benchRepository}/blobs/uploads/`, { method: 'POST', headers });
  const location = new URL(begun.headers.get('location') ?? '', contender.url);
  location.searchParams.set('digest', digest);
  const put = await fetch(location, { method: 'PUT', headers, body: new Uint8Array(bytes) });
  if (put.status !== 201) throw new Error(`push to ${contender.name}: ${put.status} ${await put.text()}`);
  return digest;
}

/** An image of a config and three layers of 10 KB, tagged `latest`. */
export async function pushSmallImage(contender: Contender): Promise<StoredManifest> {
  const { manifest, blobs } = sampleImage(['a', 'b', 'c'].map((letter) => letter.repeat(10 * 1024)));
  for (const blob of blobs) await pushContent(contender, blob);
  const headers = { ...contender.headers, 'content-type': manifest.mediaType };
  const put = await fetch(`${contender.url}/v2/${benchRepository}/manifests/latest`, {
    method: 'PUT',
    headers,
    body: new Uint8Array(manifest.bytes),
  });
  if (put.status !== 201) throw new Error(`manifest to ${contender.name}: ${put.status} ${await put.text()}`);
  return manifest;
}
