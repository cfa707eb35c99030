import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Port } from '../settings/environment.ts';
import type { Log } from '../status/log.ts';

export interface ListenerOptions {
  readonly api: RequestListener;
  readonly httpPort: Port;
  /** Used only where `tls` is given. */
  readonly httpsPort: Port;
  readonly bindAddress: string;
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
  readonly log: Log;
  /** How long running requests may go on after `close`. */
  readonly graceMs?: number;
}

export interface Listeners {
  readonly http?: AddressInfo;
  readonly https?: AddressInfo;
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

/** Opens the doors. Rejects, with none left open, when one cannot be opened. */
export async function startListeners(options: ListenerOptions): Promise<Listeners> {
  const { api, bindAddress, tls, log } = options;
  const graceMs = options.graceMs ?? defaults.graceMs;
  const opened: Door[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((door) => door.close()));
  };
  const open = async (server: Server, port: Port): Promise<AddressInfo | undefined> => {
    if (port === 'off') return undefined;
    const door = await openDoor(server, { api, port, bindAddress, graceMs });
    opened.push(door);
    return door.address;
  };
  try {
    const http = await open(createHttpServer(), options.httpPort);
    const https = tls && (await open(createHttpsServer({ ...tls, minVersion: 'TLSv1.2' }), options.httpsPort));
    log.info('The registry API is listening.', { http: http?.port, https: https?.port, bindAddress });
    return { ...(http && { http }), ...(https && { https }), close };
  } catch (error) {
    await close();
    throw error;
  }
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
