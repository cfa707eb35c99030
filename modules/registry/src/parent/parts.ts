/**
 * Cuts `content` into parts of `partBytes`, the last one shorter; nothing for empty content.
 * The same memory is used for every part: one is valid until the next is asked for.
 */
export async function* inParts(content: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(partBytes);
  let used = 0;
  for await (const chunk of content) {
    for (let from = 0; from < chunk.length;) {
      const piece = chunk.subarray(from, from + partBytes - used);
      buffer.set(piece, used);
      used += piece.length;
      from += piece.length;
      if (used === partBytes) {
        yield buffer;
        used = 0;
      }
    }
  }
  if (used > 0) yield buffer.subarray(0, used);
}
