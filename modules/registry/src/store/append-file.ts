import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { RegistryError } from '../errors.ts';
import { abortable } from './abortable.ts';
import { giveBack } from './give-back.ts';
import { smallBlobBytes } from './layout.ts';

/** Where an upload's bytes go: the file, once there are more than a few. */
export interface AppendTarget {
  /** Where the file ends. */
  readonly storedBytes: number;
  /** Received before, and in no file yet. */
  readonly held: Buffer;
  /** Opens the file; called at most once, when it is needed. */
  open(): Promise<FileHandle>;
  /** Called when a piece has arrived: it is in memory until it is written. */
  onReceived(piece: Uint8Array): void;
  /** Called while the pieces are on their way to the file, in order: the time to hash them. */
  onWriting(pieces: readonly Uint8Array[], position: number): void;
  /** Called once they are in it. */
  onWritten(sizeBytes: number): void;
  /** Called every 16 MB: time to remember where the bytes are. */
  onSync(): Promise<void>;
}

export interface AppendOptions {
  readonly content: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** More than this is refused with SIZE_INVALID: nobody fills the disk with a blob that never ends. */
  readonly limitBytes: number;
  /** Nobody else reads the pieces of `content`, now or later: their memory is freed once it is written. */
  readonly isOurs: boolean;
  /** Throws when the disk is needed for something else; asked at the start and every 16 MB. */
  readonly ensureRoom: () => Promise<void>;
}

/** Large writes cost less, and bound what one upload keeps in memory to twice this. */
const writeBytes = 1024 * 1024;
const writePieces = 1024;
/** Sent to the disk while more arrives, so that the commit finds little left to sync. */
const syncBytes = 16 * 1024 * 1024;

/**
 * Adds `content` to what the target has. What came whole and is small in all is left to the caller to hold: the result.
 * Everything else is in the file when this resolves, and when it breaks off, or the signal fires, before it rejects.
 * A chunk must not be changed by its giver afterwards.
 */
export async function appendContent(target: AppendTarget, options: AppendOptions): Promise<Buffer | undefined> {
  const { content, signal, limitBytes, isOurs, ensureRoom } = options;
  let file: FileHandle | undefined;
  let end = target.storedBytes;
  let pieces: Uint8Array[] = target.held.length > 0 ? [target.held] : [];
  let gathered = target.held.length;
  let unsynced = 0;
  let writing = Promise.resolve();
  let syncing: Promise<unknown> | undefined;
  let checking = Promise.resolve();

  /** One write at a time, while the next pieces are gathered; the disk is given its time without waiting for it. */
  const flush = async (): Promise<void> => {
    await writing;
    if (gathered === 0) return;
    await checking;
    file ??= await target.open();
    const [ready, sizeBytes] = [pieces, gathered];
    [pieces, gathered] = [[], 0];
    writing = writeAll(file, ready, sizeBytes, end).then(() => {
      target.onWritten(sizeBytes);
      if (isOurs) giveBack(ready);
    });
    writing.catch(() => undefined); // told by the next await of it
    target.onWriting(ready, end);
    end += sizeBytes;
    unsynced += sizeBytes;
    if (unsynced < syncBytes) return;
    unsynced = 0;
    await syncing; // at most 32 MB wait for the disk
    syncing = Promise.all([file.datasync(), target.onSync()]);
    syncing.catch(() => undefined);
    checking = ensureRoom();
    checking.catch(() => undefined);
  };

  await ensureRoom();
  let isWhole = false;
  try {
    for await (const piece of abortable(content, signal)) {
      if (end + gathered + piece.length > limitBytes)
        throw new RegistryError('SIZE_INVALID', { detail: { limitBytes } });
      pieces.push(piece);
      target.onReceived(piece);
      gathered += piece.length;
      if (gathered >= writeBytes || pieces.length >= writePieces) await flush();
    }
    isWhole = true;
    if (end === 0 && gathered <= smallBlobBytes) return Buffer.concat(pieces, gathered);
  } finally {
    try {
      if (!isWhole || end > 0 || gathered > smallBlobBytes) await flush();
    } finally {
      await Promise.allSettled([writing, syncing]);
    }
    await Promise.all([writing, syncing]);
  }
  return undefined;
}

/** Opens the file of an upload that has `sizeBytes` of it; what a failed write left behind them is cut off. */
export async function openUploadFile(path: string, sizeBytes: number): Promise<FileHandle> {
  const emptied = sizeBytes === 0 ? constants.O_TRUNC : 0;
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | emptied, 0o640);
  try {
    if (sizeBytes > 0 && (await file.stat()).size > sizeBytes) await file.truncate(sizeBytes);
    return file;
  } catch (error) {
    await file.close();
    throw error;
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
