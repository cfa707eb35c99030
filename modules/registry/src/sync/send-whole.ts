import { addAbortSignal, Readable } from 'node:stream';
import { RegistryError } from '../errors.ts';
import { ParentError } from '../parent/parent.ts';
import type { RateLimit } from './rate-limit.ts';
import type { BlobTransfer } from './transfer-blob.ts';

/** Whether the blob may cross in one piece: it is small, and no part of it is at the target. */
export function isSentWhole({ target, blob }: Pick<BlobTransfer, 'target' | 'blob'>): boolean {
  return target.wholeBlobs?.accepts(blob) === true;
}

/**
 * One try for a small blob: read whole, at the pace of the link, then handed over in one step. What came before a cut
 * is put into an upload, where the next try goes on. `standAt` is told how many bytes are here.
 * Throws as source and target do, and DIGEST_INVALID.
 */
export async function sendWhole(
  transfer: BlobTransfer,
  { rate, standAt }: { readonly rate: RateLimit; readonly standAt: (position: number) => void },
): Promise<'sent' | 'absent'> {
  const { source, target, repository, blob, signal } = transfer;
  const content = (await readTogether(transfer, rate)) ?? (await source.readBlob(repository, blob.digest, { signal }));
  if (!content) return 'absent';
  const isPaid = Array.isArray(content);
  // A source that hangs ends with the pass, too.
  if (!isPaid) addAbortSignal(signal, content);
  const pieces: Uint8Array[] = [];
  let position = 0;
  try {
    for await (const piece of content as AsyncIterable<Uint8Array> | Uint8Array[]) {
      if (position + piece.length > blob.size) throw new RegistryError('DIGEST_INVALID');
      if (!isPaid) await pass(piece.length, rate, signal);
      pieces.push(piece);
      position += piece.length;
      standAt(position);
    }
    if (position < blob.size) throw new ParentError('unreachable', 'the content ended early');
    await target.wholeBlobs?.put(repository, blob.digest, Buffer.concat(pieces, position));
    return 'sent';
  } catch (error) {
    standAt(isWrongContent(error) ? 0 : await keep(transfer, pieces).catch(() => 0));
    throw error;
  }
}

/**
 * With others in one answer, which comes at once: so it is paid for before. Undefined: not in this way, and then it is
 * paid for twice, as too slow is better than too fast.
 */
async function readTogether(
  { source, repository, blob, signal }: BlobTransfer,
  rate: RateLimit,
): Promise<Uint8Array[] | undefined> {
  const read = source.readSmallBlob;
  if (!read) return undefined;
  await pass(blob.size, rate, signal);
  const bytes = await read(repository, blob, { signal });
  return bytes && [bytes];
}

async function pass(sizeBytes: number, rate: RateLimit, signal: AbortSignal): Promise<void> {
  for (let passed = 0; passed < sizeBytes;) passed += await rate.take(sizeBytes - passed, { signal });
}

export function isWrongContent(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'DIGEST_INVALID';
}

/** How many bytes an upload at the target holds now. */
async function keep({ target, repository, blob }: BlobTransfer, pieces: readonly Uint8Array[]): Promise<number> {
  if (pieces.length === 0) return 0;
  const upload = await target.beginBlob(repository, blob);
  try {
    if (upload.offset === 0) await upload.append(Readable.from(pieces));
    return upload.offset;
  } finally {
    await upload.release();
  }
}
