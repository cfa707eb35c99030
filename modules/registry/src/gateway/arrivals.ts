import { EventEmitter, once } from 'node:events';
import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { Clock } from '../status/clock.ts';

/** What is on its way into this registry, for children to hear of. In memory only: a hint is not worth more. */
export interface Arrivals {
  /** The number of the last one that began. */
  readonly head: number;
  /** Tells it to children until the result is called. */
  begin(blob: ArrivingBlob): () => void;
  /** Those that began after `number` and are still on their way, in order. */
  after(number: number): readonly ArrivingBlob[];
  /** Resolves once another one has begun; rejects when `signal` ends the wait. */
  advanced(signal: AbortSignal): Promise<void>;
}

export function createArrivals({ clock }: { readonly clock: Pick<Clock, 'now'> }): Arrivals {
  const underWay = new Map<number, ArrivingBlob>();
  const events = new EventEmitter();
  events.setMaxListeners(0); // one for each child that waits
  /** Beyond what an earlier run of this program has told. */
  let head = clock.now().getTime();

  return {
    get head() {
      return head;
    },
    begin(blob) {
      head += 1;
      const number = head;
      underWay.set(number, blob);
      events.emit('begin');
      return () => void underWay.delete(number);
    },
    after(number) {
      // Ahead of us: the clock was set back between two runs.
      const from = number > head ? 0 : number;
      return [...underWay].filter(([began]) => began > from).map(([, blob]) => blob);
    },
    async advanced(signal) {
      await once(events, 'begin', { signal });
    },
  };
}
