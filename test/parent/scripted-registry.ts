import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connectParent, type ConnectParentOptions } from '../../modules/registry/src/parent/connect-parent.ts';
import { ParentError, type ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

export interface Seen {
  /** Such as `GET /v2/`. */
  readonly line: string;
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Answers one request; the request is read whole. */
export type Script = (seen: Seen, response: ServerResponse) => unknown;

export interface ScriptedRegistry {
  /** host:port */
  readonly endpoint: string;
  readonly seen: Seen[];
  readonly lines: string[];
  close(): Promise<void>;
}

/** A real server on 127.0.0.1 that keeps what it is asked and answers as a test wants it. */
export async function startScriptedRegistry(
  script: Script,
  tls?: { readonly cert: string; readonly key: string },
): Promise<ScriptedRegistry> {
  const seen: Seen[] = [];
  const lines: string[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const line = `${method} ${url}`;
      const entry = { line, method, url: new URL(url, 'http://parent'), headers, body: Buffer.concat(chunks) };
      seen.push(entry);
      lines.push(line);
      Promise.resolve(script(entry, response)).catch((error: unknown) => response.writeHead(599).end(String(error)));
    });
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    lines,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Scene extends ScriptedRegistry {
  readonly parent: ParentRegistry;
  readonly clock: ManualClock;
  readonly log: RecordingLog;
}

export const account = { name: 'plant7', password: 'a:secret' };
export const basic = `Basic ${Buffer.from('plant7:a:secret').toString('base64')}`;

/** Gives `body` a client of a scripted registry, and closes both. */
export async function withParent(
  script: Script,
  body: (scene: Scene) => Promise<unknown>,
  options: Partial<ConnectParentOptions> = {},
): Promise<void> {
  const registry = await startScriptedRegistry(script);
  const [clock, log] = [new ManualClock(), new RecordingLog()];
  const { endpoint } = registry;
  const parent = connectParent({ endpoint, protocol: 'http', credentials: account, clock, log, ...options });
  try {
    await body({ ...registry, parent, clock, log });
  } finally {
    await parent.close();
    await registry.close();
  }
}

export function answerJson(response: ServerResponse, document: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(document));
}

export function answerError(response: ServerResponse, status: number, code: string, message = ''): void {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ errors: [{ code, message }] }));
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The ParentError `promise` rejects with; anything else fails the test. */
export async function failureOf(promise: Promise<unknown>): Promise<ParentError> {
  const outcome = await promise.then(
    () => 'nothing',
    (error: unknown) => error,
  );
  if (outcome instanceof ParentError) return outcome;
  throw new Error(`expected a ParentError, not ${String(outcome)}`, { cause: outcome });
}
