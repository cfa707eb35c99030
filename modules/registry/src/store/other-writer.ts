import { RegistryError } from '../errors.ts';
import type { Clock } from '../status/clock.ts';
import { arrivedBytes, busy, type Progress } from './upload-progress.ts';

/** A connection that was cut brings the last of its bytes in this time, mostly. */
const settleMs = 1000;
/** A writer that brought nothing for so long while its sender came back has lost its link, and nobody told us. */
const silenceMs = 10_000;

/**
 * Waits, for a second at most, for another request that writes to the upload: what it brings counts.
 * Throws BLOB_UPLOAD_UNKNOWN where it committed or cancelled it.
 */
export async function settle(progress: Progress, clock: Clock): Promise<void> {
  await ended(progress, clock, settleMs);
  if (progress.isOver) throw new RegistryError('BLOB_UPLOAD_UNKNOWN');
}

/**
 * Waits for another request that writes to the upload, and ends it, keeping what arrived, when it brings nothing for ten
 * seconds: a sender whose link broke without a word comes back long before the old connection times out.
 * Throws BLOB_UPLOAD_INVALID while bytes come.
 */
export async function takeOver(progress: Progress, clock: Clock): Promise<void> {
  while (progress.work) {
    const before = arrivedBytes(progress);
    if (await ended(progress, clock, silenceMs)) continue;
    if (!progress.stopAppend || arrivedBytes(progress) > before) throw busy();
    progress.stopAppend(
      new RegistryError('BLOB_UPLOAD_INVALID', { message: 'another request goes on with the upload' }),
    );
    await progress.work.catch(() => undefined);
  }
}

/** Whether the work that runs ended in this time. */
async function ended({ work }: Progress, clock: Clock, milliseconds: number): Promise<boolean> {
  if (!work) return true;
  const enough = new AbortController();
  const over = () => true;
  const waited = clock.wait(milliseconds, enough.signal).then(() => false, over);
  try {
    return await Promise.race([work.then(over, over), waited]);
  } finally {
    enough.abort();
  }
}
