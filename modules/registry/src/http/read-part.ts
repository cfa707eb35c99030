import type { OpenBlob } from '../store/store.ts';

/** `part` of a blob, whole in memory: for small ones. Throws where the blob ends before it. */
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

/** As `OpenBlob.read`, but throws at the end of the blob: at least one byte is read. */
export async function readSome(blob: OpenBlob, buffer: Buffer, position: number): Promise<number> {
  const count = await blob.read(buffer, position);
  if (count === 0) throw new Error(`a blob ended at byte ${position}, before its size`);
  return count;
}
