import { EventEmitter, once } from 'node:events';
import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { Clock } from '../status/clock.ts';

/** What is on its way into this registry, for children to hear of. In memory only: a hint is not worth more. */
export interface Arrivals {
  /** The number of the last one that began. */
  readonly head: number;
  /** Tells it to children until the result is called; without a tag a minute longer, as nobody knows when its image comes. */
  begin(blob: ArrivingBlob): () => void;
  /** Tells for a minute what is here, and whose image is still to come. */
  mention(blob: Omit<ArrivingBlob, 'tag' | 'platform'>): void;
  /** Those that began after `number` and are still to be told, in order. */
  after(number: number): readonly ArrivingBlob[];
  /** Resolves once another one has begun; rejects when `signal` ends the wait. */
  advanced(signal: AbortSignal): Promise<void>;
}

/** A child that listens has heard it by then. */
const mentionMs = 60_000;

interface Told {
  readonly blob: ArrivingBlob;
  /** Undefined: it is still on its way. */
  endedMs?: number;
}

export function createArrivals({ clock }: { readonly clock: Pick<Clock, 'now'> }): Arrivals {
  const told = new Map<number, Told>();
  const events = new EventEmitter();
  events.setMaxListeners(0); // one for each child that waits
  /** Beyond what an earlier run of this program has told. */
  let head = clock.now().getTime();

  /** What ended in the future did so by a clock that was wrong. */
  function forgetOld(): void {
    const nowMs = clock.now().getTime();
    for (const [number, { endedMs = nowMs }] of told) {
      if (endedMs > nowMs || nowMs - endedMs >= mentionMs) told.delete(number);
    }
  }

  function begin(blob: ArrivingBlob): () => void {
    forgetOld();
    head += 1;
    const number = head;
    const entry: Told = { blob };
    told.set(number, entry);
    events.emit('begin');
    return () => {
      if (blob.tag === undefined) entry.endedMs = clock.now().getTime();
      else told.delete(number);
    };
  }

  return {
    get head() {
      return head;
    },
    begin,
    mention: (blob) => begin(blob)(),
    after(number) {
      forgetOld();
      // Ahead of us: the clock was set back between two runs.
      const from = number > head ? 0 : number;
      return [...told].filter(([began]) => began > from).map(([, { blob }]) => blob);
    },
    async advanced(signal) {
      await once(events, 'begin', { signal });
    },
  };
}
