import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Mode } from '../../modules/registry/src/settings/settings.ts';
import { startApiProxy } from '../helpers/api-proxy.ts';
import { ask } from '../helpers/ask.ts';
import { createEdgeCertificates } from '../helpers/edge-certificates.ts';
import { freePort } from '../helpers/free-port.ts';
import { Program } from '../helpers/program.ts';
import { authorize, type Account } from '../helpers/pull-image.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { until } from '../helpers/until.ts';
import { passwordsOf } from '../hierarchy/layer-settings.ts';

/** May do everything in `plant/*`. */
export const operator: Account = { name: 'operator', password: 'operator-password' };
/** May pull from `plant/*` and list it. */
export const reader: Account = { name: 'reader', password: 'reader-password' };

/** A name that no resolver knows: docker trusts whatever is at a loopback address, so it is sent by a proxy. */
export const siteName = 'registry.plant.example';

/** One of the ways clients reach the registry. */
export interface Way {
  readonly name: 'HTTP' | 'HTTPS' | 'nginx with TLS';
  /** host:port as a client on this machine names it. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** Answered requests and bytes received so far, by endpoint id, method and status. */
export interface Traffic {
  requests(endpoint: string, method: string, status: number): number;
  receivedBytes(endpoint: string): number;
}

/** A registry as a process of its own outside IoT Edge, reached in three ways. */
export interface ClientStand {
  readonly directory: string;
  /** A folder with the private root as `ca.crt`, as containers' and docker's `certs.d` have it. */
  readonly certificates: string;
  readonly ways: readonly Way[];
  /** Plain HTTP, for the test's own questions. */
  readonly url: string;
  setMode(mode: Mode): Promise<void>;
  traffic(): Promise<Traffic>;
  /** DELETE of a manifest as the operator; for clients that have no command for it. */
  deleteManifest(repository: string, reference: string): Promise<void>;
  close(): Promise<void>;
}

const main = new URL('../../modules/registry/src/main.ts', import.meta.url).pathname;
const everything = ['content/read', 'content/write', 'content/delete', 'metadata/read', 'metadata/write'];

export async function openClientStand(): Promise<ClientStand> {
  const directory = await temporaryDirectory();
  const closing: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };
  try {
    const authority = await createEdgeCertificates();
    const certificate = await authority.issueServer(['localhost', '127.0.0.1', siteName]);
    const [certificates, volume] = [join(directory, 'trust'), join(directory, 'certificates')];
    await Promise.all([mkdir(certificates), mkdir(volume)]);
    await writeFile(join(certificates, 'ca.crt'), authority.trustBundle);
    await writeFile(join(volume, 'tls.crt'), certificate.cert);
    await writeFile(join(volume, 'tls.key'), certificate.key);

    const settingsFile = join(directory, 'settings.json');
    const settings = await clientSettings();
    const save = (mode: Mode): Promise<void> => writeFile(settingsFile, JSON.stringify({ ...settings, mode }));
    await save('ReadWrite');

    const [http, https, metrics] = [await freePort(), await freePort(), await freePort()];
    const program = new Program({
      command: process.execPath,
      arguments: ['--import', createRequire(import.meta.url).resolve('tsx'), main],
      cwd: directory,
      environment: {
        ACR_REGISTRY_SETTINGS_FILE: settingsFile,
        ACR_REGISTRY_CERTIFICATE_VOLUME: volume,
        ACR_REGISTRY_HTTP_PORT: String(http),
        ACR_REGISTRY_HTTPS_PORT: String(https),
        ACR_REGISTRY_METRICS_PORT: String(metrics),
      },
    });
    closing.push(() => program.stop());
    const proxy = await startApiProxy({
      directory: join(directory, 'nginx'),
      registry: `127.0.0.1:${http}`,
      certificate,
    });
    closing.push(() => proxy.close());
    const url = `http://127.0.0.1:${http}`;
    await program.line(/connected registry started/);

    const startUpload = (): Promise<number> =>
      ask(`${url}/v2/plant/mode/blobs/uploads/`, operator, { method: 'POST' }).then(({ status }) => status);
    const isMode = (mode: Mode): Promise<boolean> =>
      startUpload().then((status) => status === (mode === 'ReadOnly' ? 405 : 202));
    await until('the settings are in force', () => isMode('ReadWrite'));

    const proxyPort = Number(new URL(`https://${proxy.endpoint}`).port);
    return {
      directory,
      certificates,
      url,
      ways: [
        { name: 'HTTP', host: `127.0.0.1:${http}`, port: http, tls: false },
        { name: 'HTTPS', host: `localhost:${https}`, port: https, tls: true },
        { name: 'nginx with TLS', host: proxy.endpoint, port: proxyPort, tls: true },
      ],
      async setMode(mode) {
        await save(mode);
        await until(`the mode is ${mode}`, () => isMode(mode));
      },
      traffic: () => readTraffic(`http://127.0.0.1:${metrics}/metrics`),
      async deleteManifest(repository, reference) {
        const authorization = await authorize(url, operator, repository, 'delete');
        const { status } = await ask(`${url}/v2/${repository}/manifests/${reference}`, authorization, {
          method: 'DELETE',
        });
        if (status !== 202) throw new Error(`DELETE ${repository} ${reference}: ${status}`);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function clientSettings(): Promise<object> {
  const client = async (account: Account, scopeMap: string): Promise<object> => ({
    name: account.name,
    scopeMap,
    passwords: await passwordsOf(account),
  });
  const scopeMap = (name: string, verbs: readonly string[]): object => ({
    name,
    actions: verbs.map((verb) => `repositories/plant/*/${verb}`),
  });
  return {
    repositories: ['plant/*'],
    scopeMaps: [scopeMap('operators', everything), scopeMap('readers', ['content/read', 'metadata/read'])],
    clientTokens: [await client(operator, 'operators'), await client(reader, 'readers')],
  };
}

async function readTraffic(url: string): Promise<Traffic> {
  const text = await (await fetch(url)).text();
  const sum = (name: string, labels: readonly string[]): number =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
  return {
    requests: (endpoint, method, status) =>
      sum('connected_registry_http_requests_total', [
        `endpoint="${endpoint}"`,
        `method="${method}"`,
        `status="${status}"`,
      ]),
    receivedBytes: (endpoint) => sum('connected_registry_http_received_bytes_total', [`endpoint="${endpoint}"`]),
  };
}
