import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../errors.ts';
import { RegistryError } from '../errors.ts';
import type { Exchange } from './exchange.ts';

/** The body as it arrives. Leaving it early keeps the connection, so that an error can still be answered. */
export function bodyOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>,
  };
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
