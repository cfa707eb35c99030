import type { Readable } from 'node:stream';
import { connectionFailure } from './failure.ts';
import { ParentError } from './parent.ts';

/** Everything in `body`. Throws ParentError: `broken` beyond `limitBytes`, `unreachable` when it is cut. */
export async function readBody(body: Readable, host: string, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > limitBytes) throw new ParentError('broken', `${host} answers with more than ${limitBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw connectionFailure(error, host);
  }
  return Buffer.concat(chunks, length);
}

/** The JSON object in `bytes`. Throws ParentError `broken`. */
export function parseObject(bytes: Buffer, host: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new ParentError('broken', `${host} answers with something that is not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ParentError('broken', `${host} answers with JSON that is not an object`);
  }
  return value as Record<string, unknown>;
}
