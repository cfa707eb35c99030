import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A proxy before a registry that counts requests, and lets the bytes of blobs through as a test wants it. */
export interface GateProxy {
  /** host:port */
  readonly host: string;
  /** `GET /v2/plant/hello/blobs/sha256:…`, in order; what only asks for credentials is left out. */
  readonly lines: string[];
  /** Lines that begin so. */
  asked(beginning: string): number;
  /** So many bytes of blobs' contents may pass in all; those beyond wait. */
  allow(bytes: number): void;
  /** Once so many more have passed, the connection is cut; once only. */
  cutAfter(bytes: number): void;
  /** Of blobs' contents. */
  readonly passedBytes: number;
  /** Changes contents on their way. */
  bend: (bytes: Buffer) => Buffer;
  /** Leaves everything without an answer. */
  isSilent: boolean;
  close(): Promise<void>;
}

export async function startGateProxy(upstream: string): Promise<GateProxy> {
  const lines: string[] = [];
  let [allowed, passed, cutAt] = [Infinity, 0, Infinity];
  let waiting: (() => void)[] = [];

  async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    if (headers.authorization !== undefined && !url.includes('oauth2')) lines.push(`${method} ${url}`);
    if (proxy.isSilent) return;
    const asking = httpRequest(`http://${upstream}${url}`, { method, headers, agent: false });
    request.pipe(asking);
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    response.writeHead(answer.statusCode ?? 0, answer.headers);
    response.flushHeaders();
    const isBlob = method === 'GET' && url.includes('/blobs/');
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      for (let rest = isBlob ? proxy.bend(chunk) : chunk; rest.length > 0;) {
        while (isBlob && passed >= Math.min(allowed, cutAt)) {
          if (passed >= cutAt) {
            cutAt = Infinity;
            response.destroy();
            asking.destroy();
            return;
          }
          await new Promise<void>((resolve) => waiting.push(resolve));
        }
        const part = rest.subarray(0, isBlob ? Math.min(allowed, cutAt) - passed : rest.length);
        await new Promise((resolve) => response.write(part, resolve));
        if (isBlob) passed += part.length;
        rest = rest.subarray(part.length);
      }
    }
    response.end();
  }

  const server = createServer((request, response) => {
    forward(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const proxy: GateProxy = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    lines,
    asked: (beginning) => lines.filter((line) => line.startsWith(beginning)).length,
    allow(bytes) {
      allowed = bytes;
      for (const resolve of waiting.splice(0)) resolve();
      waiting = [];
    },
    cutAfter(bytes) {
      cutAt = passed + bytes;
    },
    get passedBytes() {
      return passed;
    },
    bend: (bytes) => bytes,
    isSilent: false,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
