import { request, type RequestOptions } from 'node:http';
import { isJsonObject } from './merge-patch.ts';

export interface WorkloadApiOptions {
  /** `IOTEDGE_WORKLOADURI`: `unix:///path` or `http://host:port`. */
  readonly uri: string;
  readonly apiVersion: string;
  /** For a whole answer; 10 seconds when absent. */
  readonly timeoutMs?: number;
}

/** The IoT Edge daemon's API for this module (edgelet, workload API). */
export interface WorkloadApi {
  /** The device's own certificate authorities, PEM. No public roots are among them. Rejects when the daemon is away. */
  trustBundle(): Promise<string>;
}

/** The bundle is a handful of certificates; more than this is not one. */
const answerBytesLimit = 1024 * 1024;

export function createWorkloadApi(options: WorkloadApiOptions): WorkloadApi {
  const { uri, apiVersion, timeoutMs = 10_000 } = options;
  const { protocol, hostname, port, pathname } = new URL(uri);
  if (protocol !== 'unix:' && protocol !== 'http:') throw new Error('the workload URI must be unix:// or http://');
  const place: RequestOptions = protocol === 'unix:' ? { socketPath: pathname } : { hostname, port };

  return {
    async trustBundle() {
      const answer = await get('/trust-bundle');
      const certificate = isJsonObject(answer) ? answer['certificate'] : undefined;
      if (typeof certificate !== 'string') throw new Error('workload API: the trust bundle holds no certificate');
      return certificate;
    },
  };

  async function get(path: string): Promise<unknown> {
    const { status, body } = await send({
      ...place,
      path: `${path}?api-version=${encodeURIComponent(apiVersion)}`,
      agent: false, // the daemon allows ten connections a socket: hold none
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (status !== 200) throw new Error(`workload API: ${path} answered ${status}`);
    return JSON.parse(body);
  }
}

function send(options: RequestOptions): Promise<{ status: number; body: string }> {
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
    sent.end();
  });
}
