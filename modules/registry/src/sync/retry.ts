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

export function createRetry({ clock, random }: { readonly clock: Clock; readonly random: () => number }): Retry {
  let failures = 0;
  let at: Date | undefined;

  function reset(): void {
    at = undefined;
    failures = 0;
  }

  return {
    get at() {
      return at;
    },
    note({ state, retryAfterMs }) {
      if (state !== 'Failed') {
        reset();
        return;
      }
      const waitMs = Math.max(retryAfterMs, backOffMs(failures, passBackOff, random));
      at = new Date(clock.now().getTime() + waitMs);
      failures += 1;
    },
    reset,
  };
}
