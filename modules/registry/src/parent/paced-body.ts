import type { Pace } from '../oci/registry.ts';

/** What leaves at once, however much may: whoever gives the pace learns from it what has left. */
const pieceBytes = 256 * 1024;

/** A request body that leaves at a pace; from its beginning each time the request is sent. */
export interface PacedBody {
  readonly length: number;
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>;
}

export function paceBody(bytes: Buffer, pace: Pace, signal: AbortSignal | undefined): PacedBody {
  return {
    length: bytes.length,
    async *[Symbol.asyncIterator]() {
      for (let sent = 0; sent < bytes.length;) {
        const granted = await pace(Math.min(pieceBytes, bytes.length - sent), signal);
        yield bytes.subarray(sent, sent + granted);
        sent += granted;
      }
    },
  };
}
