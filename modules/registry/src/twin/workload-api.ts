import { request, type RequestOptions } from 'node:http';
import { readEdgeIdentity } from './edge-identity.ts';
import { isJsonObject } from './merge-patch.ts';
import type { Json } from './twin.ts';

export interface WorkloadApiOptions {
  /** `IOTEDGE_WORKLOADURI`: `unix:///path` or `http://host:port`. */
  readonly uri: string;
  readonly apiVersion: string;
  readonly moduleId: string;
  readonly generationId: string;
  /** For a whole answer; 10 seconds when absent. */
  readonly timeoutMs?: number;
}

/** PEM: the leaf and its issuers, and the key of the leaf. */
export interface IssuedServerCertificate {
  readonly cert: string;
  readonly key: string;
}

/** The IoT Edge daemon's API for this module (edgelet, workload API). Every call rejects when the daemon is away. */
export interface WorkloadApi {
  /** The device's own certificate authorities, PEM. No public roots are among them. */
  trustBundle(): Promise<string>;
  /**
   * A new key and a certificate for it from the device's Edge CA, for `commonName` (a host name or an IP address) and
   * the module's name. The daemon decides how long it is valid, whatever `expiration` asks for.
   */
  serverCertificate(asked: {
    readonly commonName: string;
    readonly expiration: Date;
  }): Promise<IssuedServerCertificate>;
}

/** A bundle is a handful of certificates; more than this is not one. */
const answerBytesLimit = 1024 * 1024;

/** The daemon of this module; undefined outside IoT Edge and with a connection string. Throws as `readEdgeIdentity`. */
export function workloadApiOf(variables: Readonly<Record<string, string | undefined>>): WorkloadApi | undefined {
  if (variables['IOTEDGE_WORKLOADURI'] === undefined) return undefined;
  const identity = readEdgeIdentity(variables);
  if (identity.kind !== 'workload') return undefined;
  const { workloadUri: uri, apiVersion, moduleId, generationId } = identity;
  return createWorkloadApi({ uri, apiVersion, moduleId, generationId });
}

export function createWorkloadApi(options: WorkloadApiOptions): WorkloadApi {
  const { uri, apiVersion, moduleId, generationId, timeoutMs = 10_000 } = options;
  const { protocol, hostname, port, pathname } = new URL(uri);
  if (protocol !== 'unix:' && protocol !== 'http:') throw new Error('the workload URI must be unix:// or http://');
  const place: RequestOptions = protocol === 'unix:' ? { socketPath: pathname } : { hostname, port };
  const module = `/modules/${encodeURIComponent(moduleId)}/genid/${encodeURIComponent(generationId)}`;

  return {
    async trustBundle() {
      const answer = await ask('GET', '/trust-bundle', 200);
      const certificate = isJsonObject(answer) ? answer['certificate'] : undefined;
      if (typeof certificate !== 'string') throw new Error('workload API: the trust bundle holds no certificate');
      return certificate;
    },

    async serverCertificate({ commonName, expiration }) {
      const body = { commonName, expiration: expiration.toISOString() };
      const answer = await ask('POST', `${module}/certificate/server`, 201, body);
      const { certificate, privateKey } = isJsonObject(answer) ? answer : {};
      const key = isJsonObject(privateKey) ? privateKey['bytes'] : undefined;
      if (typeof certificate !== 'string' || typeof key !== 'string') {
        throw new Error('workload API: the answer holds no certificate with its key');
      }
      return { cert: certificate, key };
    },
  };

  async function ask(method: string, path: string, expected: number, content?: Json): Promise<Json | undefined> {
    const text = content === undefined ? undefined : JSON.stringify(content);
    const { status, body } = await send(
      {
        ...place,
        method,
        path: `${path}?api-version=${encodeURIComponent(apiVersion)}`,
        headers: text === undefined ? {} : { 'Content-Type': 'application/json' },
        agent: false, // the daemon allows ten connections a socket: hold none
        signal: AbortSignal.timeout(timeoutMs),
      },
      text,
    );
    if (status !== expected) throw new Error(`workload API: ${path} answered ${status}`);
    return JSON.parse(body) as Json;
  }
}

function send(options: RequestOptions, content: string | undefined): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        sizeBytes += chunk.length;
        if (sizeBytes > answerBytesLimit) response.destroy(new Error('workload API: the answer is too long'));
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.once('error', reject);
    sent.end(content);
  });
}
