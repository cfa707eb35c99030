import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

export interface Health {
  /** False: only a restart can help. */
  readonly alive: boolean;
  /** False: clients are refused for now (inactive, held by another instance, starting, closing). */
  readonly serving: boolean;
  /** One sentence for each thing that is not as it should be. */
  readonly reasons: readonly string[];
}

export interface StatusServerOptions {
  /** 0: any free port; `off`: no listener. */
  readonly port: number | 'off';
  readonly bindAddress: string;
  readonly metrics: Pick<Metrics, 'render' | 'contentType'>;
  readonly health: () => Health;
  readonly log: Log;
}

export interface StatusServer {
  /** Undefined when the port is `off`. */
  readonly address: AddressInfo | undefined;
  close(): Promise<void>;
}

/**
 * `/metrics` for Prometheus and the IoT Edge metrics collector, `/healthz` (503 unless alive) and `/readyz` (503 unless
 * serving), without authentication: for the module network only. Rejects when it cannot listen.
 */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { port, bindAddress, log } = options;
  if (port === 'off') return { address: undefined, close: () => Promise.resolve() };

  const server = createServer((request, response) => {
    answer(request, options).then(
      (reply) => send(request, response, reply),
      (error: unknown) => {
        log.error('status request failed', { error });
        send(request, response, { status: 500, contentType: 'text/plain', body: 'internal error\n' });
      },
    );
  });
  server.listen(port, bindAddress);
  await once(server, 'listening');

  return {
    address: server.address() as AddressInfo,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

async function answer(request: IncomingMessage, options: StatusServerOptions): Promise<Reply> {
  const { metrics, health } = options;
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'GET and HEAD only\n');
  const [path] = (request.url ?? '/').split('?', 1);
  if (path === '/metrics') return { status: 200, contentType: metrics.contentType, body: await metrics.render() };
  if (path !== '/healthz' && path !== '/readyz') return plain(404, 'see /metrics, /healthz, /readyz\n');
  const state = health();
  const good = path === '/healthz' ? state.alive : state.alive && state.serving;
  return { status: good ? 200 : 503, contentType: 'application/json', body: `${JSON.stringify(state)}\n` };
}

function plain(status: number, body: string): Reply {
  return { status, contentType: 'text/plain', body };
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, {
    'Content-Type': reply.contentType,
    'Content-Length': Buffer.byteLength(reply.body),
    'Cache-Control': 'no-store',
    ...(reply.status === 405 && { Allow: 'GET, HEAD' }),
  });
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}
