import type { Pace } from '../oci/registry.ts';

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
        const granted = await pace(bytes.length - sent, signal);
        yield bytes.subarray(sent, sent + granted);
        sent += granted;
      }
    },
  };
}
