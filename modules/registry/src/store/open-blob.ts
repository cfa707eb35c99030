import { closeSync, read } from 'node:fs';
import type { OpenBlob } from './store.ts';

export interface BlobFile {
  readonly fd: number;
  readonly size: number;
}

/** The number of a closed file is soon another one's: it is closed once, and not while something reads from it. */
export function openFile({ fd, size }: BlobFile): OpenBlob {
  let readers = 0;
  let state: 'open' | 'closing' | 'closed' = 'open';
  const closeIfIdle = (): void => {
    if (state !== 'closing' || readers > 0) return;
    state = 'closed';
    closeSync(fd);
  };
  return {
    size,
    read: (buffer, position) =>
      new Promise((resolve, reject) => {
        if (state !== 'open') throw new Error('the blob is closed');
        readers += 1;
        read(fd, buffer, 0, buffer.length, position, (error, count) => {
          readers -= 1;
          closeIfIdle();
          if (error) reject(error);
          else resolve(count);
        });
      }),
    close() {
      if (state === 'open') state = 'closing';
      closeIfIdle();
      return Promise.resolve();
    },
  };
}

export function openBytes(bytes: Buffer): OpenBlob {
  return {
    size: bytes.length,
    bytes,
    read: (buffer, position) => Promise.resolve(bytes.copy(buffer, 0, Math.min(position, bytes.length))),
    close: () => Promise.resolve(),
  };
}
