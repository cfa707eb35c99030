import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import type { ErrorCode } from '../errors.ts';
import { RegistryError } from '../errors.ts';
import type { Exchange } from './exchange.ts';

/** So much of a body may wait in memory; the socket goes on being read meanwhile, which an iterator of node's stops. */
const aheadBytes = 1024 * 1024;

/**
 * The body, where all of it came with its head, as that of a small push does: node has it in memory, and nobody has to
 * listen for it. Undefined where some is still to come, or there is none. (Node says `complete` only after the handler
 * had its first turn.)
 */
export function bodyAtHand(request: IncomingMessage): Buffer | undefined {
  const isHere = request.complete || request.readableLength === contentLengthOf(request);
  return isHere ? ((request.read() as Buffer | null) ?? undefined) : undefined;
}

/** The body as it arrives. Leaving it early keeps the connection, so that an error can still be answered. */
export async function* bodyOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  let arrived: Buffer[] = [];
  let waitingBytes = 0;
  let end: { readonly error?: Error | null | undefined } | undefined;
  let wake = (): void => undefined;
  const onData = (chunk: Buffer): void => {
    arrived.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes >= aheadBytes) request.pause();
    wake();
  };
  const forget = finished(request, { writable: false }, (error) => {
    end = { error };
    wake();
  });
  request.on('data', onData);
  try {
    for (;;) {
      const taken = arrived;
      [arrived, waitingBytes] = [[], 0];
      if (request.isPaused()) request.resume();
      for (const chunk of taken) yield chunk;
      if (arrived.length > 0) continue;
      if (end?.error) throw end.error;
      if (end) return;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    request.off('data', onData);
    request.pause();
    forget();
  }
}

/** Whether the request announces a body (RFC 9112, 6.3). */
export function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || (contentLengthOf(request) ?? 0) > 0;
}

/** The announced number of bytes; undefined for a chunked body. */
export function contentLengthOf(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length'];
  return header === undefined ? undefined : Number(header);
}

/** The whole body. Throws `tooLarge` as soon as it is known to pass `limitBytes`. */
export async function readBody(exchange: Exchange, limitBytes: number, tooLarge: ErrorCode): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = contentLengthOf(exchange.request) ?? 0;
  if (sizeBytes > limitBytes) throw new RegistryError(tooLarge, { detail: { limitBytes } });
  sizeBytes = 0;
  for await (const chunk of bodyOf(exchange.request)) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw new RegistryError(tooLarge, { detail: { limitBytes } });
    chunks.push(chunk);
  }
  exchange.bytesReceived += sizeBytes;
  return Buffer.concat(chunks, sizeBytes);
}
