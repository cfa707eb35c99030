import type { ManualClock } from '../helpers/manual-clock.ts';

/** For passes: their watch looks at the link after a longer pause, and what it looks for takes real time. */
export const shorterThanLooks = { longestMs: 4_999 };

/** Moves the clock through every back-off, none longer than `longestMs`, until `work` has ended. */
export async function patiently<T>(clock: ManualClock, work: Promise<T>, { longestMs = Infinity } = {}): Promise<T> {
  let ended = false;
  const quiet = work.then(
    () => (ended = true),
    () => (ended = true),
  );
  while (!ended) {
    await Promise.race([clock.sleeping(), quiet]);
    const { nextWait = 0 } = clock;
    if (nextWait <= longestMs) await clock.advance(nextWait);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return work;
}
