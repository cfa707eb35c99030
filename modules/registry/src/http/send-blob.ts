import type { ServerResponse } from 'node:http';
import type { OpenBlob } from '../store/store.ts';
import type { Piece, Pieces } from './pieces.ts';
import { readPart } from './read-part.ts';

/** Up to here one read and one write are cheaper than two pooled buffers. */
export const smallBytes = 64 * 1024;

/** The connection ended before the answer did; there is nobody left to tell. */
export class ClientGone extends Error {}

/**
 * Sends `length` bytes from `start` and ends the answer. `head` is written when the first of them are there: until then
 * a failure can still be told.
 * One piece is read from the disk while the other is on its way to the client, never more: a slow client costs two
 * buffers. Answers with the same `content` share what they read at the same time. Throws ClientGone, or what reading
 * threw.
 */
export async function sendBlob(
  response: ServerResponse,
  blob: OpenBlob,
  part: { readonly start: number; readonly length: number },
  {
    pieces,
    content,
    head,
  }: { readonly pieces: Pieces; readonly content?: string | undefined; readonly head: () => void },
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
  const held: Piece[] = [];
  try {
    let sent: Promise<void> = Promise.resolve();
    for (let position = part.start; position < stop;) {
      const piece = pieces.take(blob, { position, length: stop - position }, content);
      held.push(piece);
      const bytes = (await piece.bytes).subarray(0, stop - position);
      if (position === part.start) head();
      await sent;
      // Sent a while ago, but held until now for those who are a little behind.
      if (held.length > 1) held.shift()?.release();
      sent = write(response, bytes);
      // The failure is met at the next `await sent`; until then it must not count as unhandled.
      sent.catch(() => undefined);
      position += bytes.length;
    }
    await sent;
  } catch (error) {
    for (const piece of held) piece.release('unsent');
    throw error;
  }
  for (const piece of held) piece.release();
  response.end();
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
