import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { RegistryError } from '../errors.ts';
import { abortable } from './abortable.ts';

export interface AppendOptions {
  readonly path: string;
  /** Where the file ends now. */
  readonly offset: number;
  readonly content: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** More than this is refused with SIZE_INVALID: nobody fills the disk with a blob that never ends. */
  readonly limitBytes: number;
  /** Throws when the disk is needed for something else; asked at the start and every 16 MB. */
  readonly ensureRoom: () => Promise<void>;
  /** Called while the pieces are on their way to the file, in order: the time to hash them. */
  readonly onWriting: (pieces: readonly Uint8Array[], position: number) => void;
  /** Called once they are in it. */
  readonly onWritten: (sizeBytes: number) => void;
}

/** Large writes cost less, and bound what one upload keeps in memory to twice this. */
const writeBytes = 1024 * 1024;
const writePieces = 1024;
/** Sent to the disk while more arrives, so that the commit finds little left to sync. */
const syncBytes = 16 * 1024 * 1024;

/**
 * Adds `content` to the end of a file. When it breaks off, or the signal fires, what arrived is in the file
 * before this rejects. A chunk must not be changed by its giver afterwards.
 */
export async function appendToFile(options: AppendOptions): Promise<void> {
  const { path, content, signal, limitBytes, ensureRoom, onWriting, onWritten } = options;
  await ensureRoom();
  const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o640);
  let end = options.offset;
  let pieces: Uint8Array[] = [];
  let gathered = 0;
  let unsynced = 0;
  let writing = Promise.resolve();
  let syncing = Promise.resolve();

  /** One write at a time, while the next pieces are gathered. */
  const flush = async (): Promise<void> => {
    await writing;
    if (gathered === 0) return;
    const [ready, sizeBytes] = [pieces, gathered];
    [pieces, gathered] = [[], 0];
    writing = writeAll(file, ready, sizeBytes, end).then(() => onWritten(sizeBytes));
    writing.catch(() => undefined); // told by the next await of it
    onWriting(ready, end);
    end += sizeBytes;
    unsynced += sizeBytes;
    if (unsynced < syncBytes) return;
    unsynced = 0;
    await Promise.all([writing, syncing, ensureRoom()]);
    syncing = file.datasync();
    syncing.catch(() => undefined);
  };

  try {
    if ((await file.stat()).size > end) await file.truncate(end); // left by a write that failed half-way
    try {
      for await (const piece of abortable(content, signal)) {
        if (end + gathered + piece.length > limitBytes)
          throw new RegistryError('SIZE_INVALID', { detail: { limitBytes } });
        pieces.push(piece);
        gathered += piece.length;
        if (gathered >= writeBytes || pieces.length >= writePieces) await flush();
      }
    } finally {
      await flush();
      await Promise.all([writing, syncing]);
    }
  } finally {
    await Promise.allSettled([writing, syncing]);
    await file.close();
  }
}

async function writeAll(
  file: FileHandle,
  pieces: readonly Uint8Array[],
  sizeBytes: number,
  position: number,
): Promise<void> {
  const { bytesWritten } = await file.writev(pieces, position);
  if (bytesWritten === sizeBytes) return;
  const rest = Buffer.concat(pieces).subarray(bytesWritten); // a short write, as before a full disk
  for (let done = 0; done < rest.length;) {
    done += (await file.write(rest, done, rest.length - done, position + bytesWritten + done)).bytesWritten;
  }
}
