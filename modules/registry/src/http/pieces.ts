import type { OpenBlob } from '../store/store.ts';
import type { BufferPool } from './buffer-pool.ts';
import { readSome } from './read-part.ts';

/** Bytes of a blob on their way from the disk to the clients that ask for them meanwhile. */
export interface Piece {
  /** For reading only: others may send them too. Rejects with what reading threw. */
  readonly bytes: Promise<Buffer>;
  /** Once for each `take`. `unsent`: a socket may still hold on to the bytes, so that the buffer is not used again. */
  release(how?: 'unsent'): void;
}

export interface Pieces {
  /**
   * The bytes of `blob` from `position` on: at least one, at most `length` and what a buffer holds, or more where
   * somebody else asked for more. Who names the same content gets the same piece while anybody has it: clients that
   * pull a blob together cost one read, and one that falls behind reads for itself.
   */
  take(
    blob: OpenBlob,
    part: { readonly position: number; readonly length: number },
    content: string | undefined,
  ): Piece;
}

export function createPieces({ buffers }: { readonly buffers: BufferPool }): Pieces {
  const taken = new Map<unknown, Shared>();
  return {
    take(blob, { position, length }, content) {
      const key = content === undefined ? Symbol() : `${content} ${position}`;
      const piece = taken.get(key) ?? begin(blob, position, length);
      taken.set(key, piece);
      piece.users += 1;
      return {
        bytes: piece.bytes,
        release(how) {
          piece.users -= 1;
          piece.isReusable &&= how !== 'unsent';
          if (piece.users > 0) return;
          taken.delete(key);
          if (piece.isReusable) buffers.give(piece.buffer);
        },
      };
    },
  };

  function begin(blob: OpenBlob, position: number, length: number): Shared {
    const buffer = buffers.take();
    const bytes = readSome(blob, buffer.subarray(0, length), position).then((count) => buffer.subarray(0, count));
    return { buffer, bytes, users: 0, isReusable: true };
  }
}

interface Shared {
  readonly buffer: Buffer;
  readonly bytes: Promise<Buffer>;
  users: number;
  isReusable: boolean;
}
