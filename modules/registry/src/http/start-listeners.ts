import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Port } from '../settings/environment.ts';
import type { Log } from '../status/log.ts';

export interface ListenerOptions {
  readonly api: RequestListener;
  readonly httpPort: Port;
  /** Opened by the first `secure`. */
  readonly httpsPort: Port;
  readonly bindAddress: string;
  readonly log: Log;
  /** How long running requests may go on after `close`. */
  readonly graceMs?: number;
}

export interface Listeners {
  readonly http: AddressInfo | undefined;
  readonly https: AddressInfo | undefined;
  /**
   * Serves HTTPS with this certificate (PEM, the leaf first): opens the port the first time, and later uses it from the
   * next handshake on, while open connections stay. Rejects when the pair or the port cannot be used.
   */
  secure(pair: { readonly cert: string; readonly key: string }): Promise<void>;
  /** Stops accepting, lets running requests end within the grace period, then cuts what is left. */
  close(): Promise<void>;
}

const defaults = {
  /** Leaves the rooms behind time to close, within the nine seconds that `main.ts` has. */
  graceMs: 3_000,
  /** A head comes at once or not at all. */
  headersTimeoutMs: 30_000,
  /** Without a byte either way; longer than any long poll or commit of ours takes. */
  idleTimeoutMs: 300_000,
  /** Longer than proxies keep theirs, so that they are the ones to let go. */
  keepAliveTimeoutMs: 75_000,
} as const;

/** Opens the HTTP door; HTTPS waits for its certificate. Rejects when the port cannot be opened. */
export async function startListeners(options: ListenerOptions): Promise<Listeners> {
  const { api, bindAddress, httpPort, httpsPort, log } = options;
  const graceMs = options.graceMs ?? defaults.graceMs;
  const open = async (server: Server, port: number): Promise<Door> => {
    const door = await openDoor(server, { api, port, bindAddress, graceMs });
    log.info('The registry API is listening.', {
      protocol: server instanceof HttpsServer ? 'https' : 'http',
      ...door.address,
    });
    return door;
  };
  const http = httpPort === 'off' ? undefined : await open(createHttpServer(), httpPort);
  let https: { readonly server: HttpsServer; readonly door: Door } | undefined;
  let closing = false;
  const isClosing = (): boolean => closing;

  return {
    http: http?.address,
    get https() {
      return https?.door.address;
    },
    async secure({ cert, key }) {
      if (httpsPort === 'off' || closing) return;
      const context = { cert, key, minVersion: 'TLSv1.2' } as const;
      if (https) {
        https.server.setSecureContext(context);
        return;
      }
      const server = createHttpsServer(context).on('tlsClientError', answerPlainHttp);
      const door = await open(server, httpsPort);
      if (isClosing()) await door.close();
      else https = { server, door };
    },
    async close() {
      closing = true;
      await Promise.all([http?.close(), https?.door.close()]);
    },
  };
}

/** In the words of Go's servers. TLS never began, so the answer leaves on the socket below, which node keeps there. */
function answerPlainHttp(error: NodeJS.ErrnoException, { _parent: socket }: TLSSocket & { readonly _parent?: Socket }) {
  if (error.code !== 'ERR_SSL_HTTP_REQUEST') return;
  const head = 'HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n';
  socket?.write(`${head}\r\nClient sent an HTTP request to an HTTPS server.\n`);
}

interface Door {
  readonly address: AddressInfo;
  close(): Promise<void>;
}

async function openDoor(
  server: Server,
  options: { api: RequestListener; port: number; bindAddress: string; graceMs: number },
): Promise<Door> {
  let closing = false;
  // A large push may take hours: only silence ends a request, never its length.
  server.requestTimeout = 0;
  server.headersTimeout = defaults.headersTimeoutMs;
  server.keepAliveTimeout = defaults.keepAliveTimeoutMs;
  server.setTimeout(defaults.idleTimeoutMs);
  server.on('request', (request, response) => {
    response.once('close', () => {
      if (closing) request.socket.end();
    });
    options.api(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.bindAddress, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        closing = true;
        const cut = setTimeout(() => server.closeAllConnections(), options.graceMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
}
