import type { Clock } from '../status/clock.ts';

/** Wall clocks of small devices jump; nobody trusts one for longer than this. */
export const longestNapMs = 60_000;

/** True once the clock shows `date`; false when it was set back before that. Rejects with the signal's reason. */
export async function comesTo(clock: Clock, date: Date, signal: AbortSignal): Promise<boolean> {
  for (let seen = clock.now(); seen < date;) {
    await clock.wait(Math.min(date.getTime() - seen.getTime(), longestNapMs), signal);
    const now = clock.now();
    if (now < seen) return false;
    seen = now;
  }
  return true;
}

/** Resolves once the clock shows `date`, however it got there; rejects with the signal's reason. */
export async function waitUntil(clock: Clock, date: Date, signal: AbortSignal): Promise<void> {
  while (!(await comesTo(clock, date, signal)));
}
