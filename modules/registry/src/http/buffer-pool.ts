/** Large buffers that go round instead of being allocated per request. */
export interface BufferPool {
  take(): Buffer;
  /** Only for a buffer that nobody reads from or writes to any more. */
  give(buffer: Buffer): void;
}

/** `sizeBytes` each; at most `keep` of them wait for use, the rest is left to the garbage collector. */
export function createBufferPool(options: { readonly sizeBytes: number; readonly keep: number }): BufferPool {
  const free: Buffer[] = [];
  return {
    take: () => free.pop() ?? Buffer.allocUnsafeSlow(options.sizeBytes),
    give(buffer) {
      if (free.length < options.keep) free.push(buffer);
    },
  };
}
