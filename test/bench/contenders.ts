import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import type { StoredManifest } from '../../modules/registry/src/oci/registry.ts';
import { dockerRegistryPath } from '../helpers/docker-registry.ts';
import type { IssuedCertificate } from '../helpers/edge-certificates.ts';
import { freePort } from '../helpers/free-port.ts';
import { sampleImage } from '../helpers/images.ts';
import { Program } from '../helpers/program.ts';
import { until } from '../helpers/until.ts';
import type { Side } from './work.ts';

/** One server under load. */
export interface Contender {
  readonly name: Side;
  readonly url: string;
  readonly program: Program;
  /** When it was started, on the clock of `performance`. */
  readonly startedMs: number;
  /** What identifies a client of it; nothing where nobody asks. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface StartOptions {
  /** Holds its data and its settings; outlives it. */
  readonly directory: string;
  /** HTTPS with it, plain HTTP without. */
  readonly certificate?: IssuedCertificate;
  /** The program that starts the command, in front of it: a shell that enters a memory cgroup. */
  readonly launcher?: readonly string[];
  /** Instead of the one that is installed. */
  readonly binary?: string;
}

export interface StartOursOptions extends StartOptions {
  /** Desired properties beside the bench's account. */
  readonly desired?: object;
  /** More of the environment, or other than usual: that of IoT Edge. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Modules loaded before it. */
  readonly preload?: string;
}

export const benchRepository = 'bench/image';
const account = { name: 'bench', password: 'bench-password' };
/** The bench's account, for what its token does not cover. */
export const basic = `Basic ${Buffer.from(`${account.name}:${account.password}`).toString('base64')}`;
/** Hashing takes a while: once is enough. */
let settings: ReturnType<typeof benchSettings> | undefined;
const root = new URL('../../', import.meta.url).pathname;
/** Servers of this run show certificates that nobody signed for us. */
process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
process.removeAllListeners('warning');

/** One account that may pull, push and list everything. */
export async function benchSettings() {
  const actions = ['content/read', 'content/write', 'metadata/read'];
  return {
    scopeMaps: [{ name: 'bench', actions: actions.map((action) => `repositories/*/${action}`) }],
    clientTokens: [
      {
        name: account.name,
        scopeMap: 'bench',
        passwords: [{ name: 'password1', hash: await hashPassword(account.password) }],
      },
    ],
  };
}

/** The build, with bearer authentication on, as `npm start` runs it. */
export async function startOurs(options: StartOursOptions): Promise<Contender> {
  const started = await launchOurs(options);
  const { program, url } = started;
  const ended = program.exited.then((code) => {
    throw new Error(`ours ended with ${String(code)} at its start: ${program.output}`);
  });
  const authorization = await Promise.race([until('ours answers', () => bearerOf(url)), ended]);
  ended.catch(() => undefined);
  return { ...started, headers: { authorization } };
}

/** The same, but nobody waits for an answer. */
export async function launchOurs(options: StartOursOptions): Promise<Contender> {
  const {
    directory,
    certificate,
    launcher = [],
    binary = process.execPath,
    environment = {},
    preload,
    desired,
  } = options;
  const port = String(await freePort());
  const settingsFile = join(directory, 'settings.json');
  const certificates = join(directory, 'certificates');
  await mkdir(certificates, { recursive: true });
  if (certificate) {
    await writeFile(join(certificates, 'tls.crt'), certificate.cert);
    await writeFile(join(certificates, 'tls.key'), certificate.key);
  }
  await writeFile(settingsFile, JSON.stringify({ ...(await (settings ??= benchSettings())), ...desired }));
  const before = preload === undefined ? [] : ['--import', preload];
  const [command = '', ...rest] = [...launcher, binary, ...before, ...(await startArguments())];
  const startedMs = performance.now();
  const program = new Program({
    command,
    arguments: rest,
    cwd: root,
    environment: {
      // Inside IoT Edge they come from the module twin.
      ...(environment['IOTEDGE_WORKLOADURI'] === undefined && { ACR_REGISTRY_SETTINGS_FILE: settingsFile }),
      ACR_REGISTRY_DATA_VOLUME: join(directory, 'data'),
      ACR_REGISTRY_CERTIFICATE_VOLUME: certificates,
      ACR_REGISTRY_HTTP_PORT: certificate ? 'off' : port,
      ACR_REGISTRY_HTTPS_PORT: certificate ? port : 'off',
      ACR_REGISTRY_METRICS_PORT: 'off',
      ACR_REGISTRY_BIND_ADDRESS: '127.0.0.1',
      ...environment,
    },
  });
  const url = `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`;
  return { name: 'ours', url, program, startedMs, headers: {} };
}

/** What `npm start` hands to node. */
export async function startArguments(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } };
  return scripts.start.replace(/^exec node /, '').split(' ');
}

/** A token for one repository, and for the catalog. */
async function bearerOf(url: string): Promise<string> {
  const query = new URLSearchParams({ service: new URL(url).host });
  for (const scope of [`repository:${benchRepository}:pull,push,metadata_read`, 'registry:catalog:*']) {
    query.append('scope', scope);
  }
  const answer = await fetch(`${url}/oauth2/token?${query.toString()}`, { headers: { authorization: basic } });
  if (answer.status !== 200) throw new Error(`token endpoint: ${answer.status} ${await answer.text()}`);
  return `Bearer ${((await answer.json()) as { access_token: string }).access_token}`;
}

/** Debian's, at its fastest: no authentication, no access log, descriptors cached in memory. */
export async function startDockerRegistry(options: StartOptions): Promise<Contender> {
  const contender = await launchDockerRegistry(options);
  await until('docker-registry answers', async () => (await fetch(`${contender.url}/v2/`)).ok);
  return contender;
}

export async function launchDockerRegistry(options: StartOptions): Promise<Contender> {
  const { directory, certificate, launcher = [], binary = dockerRegistryPath } = options;
  const port = await freePort();
  const file = join(directory, 'config.yml');
  await mkdir(directory, { recursive: true });
  const [cert, key] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  if (certificate) {
    await writeFile(cert, certificate.cert);
    await writeFile(key, certificate.key);
  }
  await writeFile(
    file,
    JSON.stringify({
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'content') }, cache: { blobdescriptor: 'inmemory' } },
      http: { addr: `127.0.0.1:${port}`, secret: 'bench', ...(certificate && { tls: { certificate: cert, key } }) },
    }),
  );
  const [command, ...rest] = [...launcher, binary, 'serve', file];
  const startedMs = performance.now();
  const program = new Program({ command, arguments: rest });
  const url = `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`;
  return { name: 'docker-registry', url, program, startedMs, headers: {} };
}

/** Debian's nginx with `sendfile on` and no access log; `writeContent` gives it blobs. */
export async function startNginx({ directory, certificate }: StartOptions): Promise<Contender> {
  const port = await freePort();
  await mkdir(join(directory, 'files'), { recursive: true });
  const [cert, key] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  if (certificate) {
    await writeFile(cert, certificate.cert);
    await writeFile(key, certificate.key);
  }
  const file = join(directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  await writeFile(
    file,
    `daemon off; pid ${directory}/nginx.pid; error_log stderr warn; user root; worker_processes auto;
events {}
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type application/octet-stream;
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port}${certificate ? ' ssl' : ''};
    ${certificate ? `ssl_certificate ${cert}; ssl_certificate_key ${key};` : ''}
    root ${directory}/files;
  }
}
`,
  );
  const startedMs = performance.now();
  const program = new Program({ command: '/usr/sbin/nginx', arguments: ['-p', directory, '-c', file] });
  const url = `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`;
  await until('nginx answers', async () => (await fetch(url)).status > 0);
  return { name: 'nginx', url, program, startedMs, headers: {} };
}

export function blobPath(digest: string): string {
  return `/v2/${benchRepository}/blobs/${digest}`;
}

/** The bytes as a blob, pushed in one PUT. */
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

/** The same bytes for nginx. */
export async function writeContent(directory: string, bytes: Buffer): Promise<string> {
  const digest = digestOf(bytes);
  const file = join(directory, 'files', blobPath(digest));
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, bytes);
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
