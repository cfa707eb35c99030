import { backOffMs } from '../status/back-off.ts';
import type { Clock } from '../status/clock.ts';
import type { PassEnd } from './run-pass.ts';

/** When a pass that failed is tried again. */
export interface Retry {
  /** Undefined: the last pass did not fail. */
  readonly at: Date | undefined;
  /** After failures the pauses grow; what the parent asks for is never undercut. */
  note(end: PassEnd): void;
  /** Something changed that may help: the next try is due at once. */
  reset(): void;
}

const passBackOff = { firstMs: 1000, longestMs: 60_000 };
/** A question that nobody hears costs nobody anything, and the link may be back. */
const silenceBackOff = { firstMs: 1000, longestMs: 30_000 };

export function createRetry({ clock, random }: { readonly clock: Clock; readonly random: () => number }): Retry {
  let failures = 0;
  let pause: { sinceMs: number; readonly forMs: number } | undefined;

  function reset(): void {
    pause = undefined;
    failures = 0;
  }

  return {
    get at() {
      if (!pause) return undefined;
      // A clock that was set back does not make the pause longer: it begins again.
      pause.sinceMs = Math.min(pause.sinceMs, clock.now().getTime());
      return new Date(pause.sinceMs + pause.forMs);
    },
    note({ state, retryAfterMs, isParentSilent = false }) {
      if (state !== 'Failed') {
        reset();
        return;
      }
      const backOff = isParentSilent ? silenceBackOff : passBackOff;
      const forMs = Math.max(retryAfterMs, backOffMs(failures, backOff, random));
      pause = { sinceMs: clock.now().getTime(), forMs };
      failures += 1;
    },
    reset,
  };
}
