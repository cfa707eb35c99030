import type { ServerResponse } from 'node:http';
import type { OpenBlob } from '../store/store.ts';
import type { BufferPool } from './buffer-pool.ts';

/** Up to here one read and one write are cheaper than two pooled buffers. */
export const smallBytes = 64 * 1024;

/** The connection ended before the answer did; there is nobody left to tell. */
export class ClientGone extends Error {}

/**
 * Sends `length` bytes from `start` and ends the answer. `head` is written when the first of them are there: until then
 * a failure can still be told.
 * One buffer is filled from the disk while the other is on its way to the client, never more: a slow client
 * costs two buffers. Throws ClientGone, or what reading threw.
 */
export async function sendBlob(
  response: ServerResponse,
  blob: OpenBlob,
  part: { readonly start: number; readonly length: number },
  { buffers, head }: { readonly buffers: BufferPool; readonly head: () => void },
): Promise<void> {
  const stop = part.start + part.length;
  if (blob.bytes) {
    head();
    response.end(blob.bytes.subarray(part.start, stop));
    return;
  }
  if (part.length <= smallBytes) {
    const bytes = await readPart(blob, part);
    head();
    response.end(bytes);
    return;
  }
  let [filling, sending] = [buffers.take(), buffers.take()];
  let sent: Promise<void> = Promise.resolve();
  for (let position = part.start; position < stop;) {
    const count = await readSome(blob, filling.subarray(0, stop - position), position);
    if (position === part.start) head();
    await sent;
    sent = write(response, filling.subarray(0, count));
    // The failure is met at the next `await sent`; until then it must not count as unhandled.
    sent.catch(() => undefined);
    position += count;
    [filling, sending] = [sending, filling];
  }
  await sent;
  // Not given back after a failure: the socket may still hold on to them.
  buffers.give(filling);
  buffers.give(sending);
  response.end();
}

/** `part` of a blob, whole in memory: for small ones. */
export async function readPart(
  blob: OpenBlob,
  part: { readonly start: number; readonly length: number },
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(part.length);
  for (let filled = 0; filled < part.length;) {
    filled += await readSome(blob, bytes.subarray(filled), part.start + filled);
  }
  return bytes;
}

async function readSome(blob: OpenBlob, buffer: Buffer, position: number): Promise<number> {
  const count = await blob.read(buffer, position);
  if (count === 0) throw new Error(`a blob ended at byte ${position}, before its size`);
  return count;
}

/** Resolves when the bytes have left the process, which is what holds a fast disk back for a slow client. */
function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new ClientGone('the client went away'));
    response.once('close', gone);
    response.write(bytes, (error) => {
      response.off('close', gone);
      if (error) gone();
      else resolve();
    });
  });
}
