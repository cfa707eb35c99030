import { RegistryError } from '../errors.ts';
import type { Arrival } from './arrival.ts';
import type { Passage } from './passage.ts';
import { unavailable } from './questions.ts';

/** A blob being fetched, and read meanwhile. */
export interface Fetch {
  readonly size: number;
  readonly arrival: Arrival;
  /** `arrival` tells when this has changed. */
  readonly outcome: 'under way' | 'here' | Error;
}

/** Random access to a blob; `read` gives 0 at the end. */
export interface ReadableBlob {
  readonly size: number;
  read(buffer: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * The blob for one client, who gets each byte when it comes. The last byte is held back until the whole is verified,
 * so that an answer that is complete is right. Throws UNAVAILABLE once the fetch has failed; where that is for want of
 * room here, the rest comes straight from the parent, if `openPassage` is there.
 */
export function readAlong(
  fetch: Fetch,
  options: {
    readonly openStored: () => Promise<ReadableBlob | undefined>;
    readonly openPassage?: (offset: number) => Passage;
  },
): ReadableBlob {
  const { size, arrival } = fetch;
  let stored: ReadableBlob | undefined;
  let passage: Passage | undefined;
  let discards = arrival.discards;
  let hasRead = false;

  async function readArriving(buffer: Buffer, position: number): Promise<number> {
    for (;;) {
      const changed = arrival.changed();
      if (fetch.outcome === 'here') {
        stored ??= await options.openStored();
        if (!stored) throw unavailable();
        return stored.read(buffer, position);
      }
      if (fetch.outcome !== 'under way') {
        passage ??= isNoRoom(fetch.outcome) ? options.openPassage?.(position) : undefined;
        if (!passage) throw unavailable(fetch.outcome);
        return passage.read(buffer).catch((error: unknown) => {
          throw unavailable(error);
        });
      }
      // What this client got already is of no use any more.
      if (discards !== arrival.discards && hasRead) throw unavailable();
      discards = arrival.discards;
      const readable = Math.min(arrival.receivedBytes, size - 1) - position;
      const count = readable > 0 ? await arrival.read(buffer.subarray(0, readable), position) : 0;
      if (count > 0) return count;
      await changed;
    }
  }

  return {
    size,
    async read(buffer, position) {
      if (position >= size) return 0;
      const count = await readArriving(buffer, position);
      hasRead ||= count > 0;
      return count;
    },
    async close() {
      passage?.close();
      await stored?.close();
    },
  };
}

function isNoRoom(error: Error): boolean {
  return error instanceof RegistryError && error.code === 'STORAGE_FULL';
}
