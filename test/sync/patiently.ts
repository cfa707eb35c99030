import type { ManualClock } from '../helpers/manual-clock.ts';

/** Moves the clock through every back-off until `work` has ended. */
export async function patiently<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let ended = false;
  const quiet = work.then(
    () => (ended = true),
    () => (ended = true),
  );
  while (!ended) {
    await Promise.race([clock.sleeping(), quiet]);
    await clock.advance(clock.nextWait ?? 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return work;
}
