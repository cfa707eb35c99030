import type { Clock } from '../status/clock.ts';

/** A parent may be upgraded, or replaced by another kind. */
const forgetAfterMs = 3_600_000;

/** An API not every registry has; after one refusal it is left alone for an hour. */
export interface OptionalApi {
  readonly found: boolean;
  readonly missing: boolean;
  markFound(): void;
  markMissing(): void;
}

export function createOptionalApi(clock: Clock): OptionalApi {
  let found = false;
  let missingUntilMs = -Infinity;
  return {
    get found() {
      return found;
    },
    get missing() {
      const leftMs = missingUntilMs - clock.now().getTime();
      // More is left only where the clock was set back.
      return leftMs > 0 && leftMs <= forgetAfterMs;
    },
    markFound() {
      found = true;
      missingUntilMs = -Infinity;
    },
    markMissing() {
      found = false;
      missingUntilMs = clock.now().getTime() + forgetAfterMs;
    },
  };
}
