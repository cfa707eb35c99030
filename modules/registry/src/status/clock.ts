import { setTimeout as delay } from 'node:timers/promises';

/** Time, handed in so that tests can move it. */
export interface Clock {
  now(): Date;
  /** Resolves after `milliseconds`; rejects with the signal's reason when that comes first. */
  wait(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** Node's timers overflow beyond this. */
const longestTimer = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  async wait(milliseconds, signal) {
    try {
      await delay(Math.min(Math.max(0, milliseconds), longestTimer), undefined, signal && { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
