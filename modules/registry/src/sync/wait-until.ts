import type { Clock } from '../status/clock.ts';

/** Wall clocks of small devices jump; nobody trusts one for longer than this. */
export const longestNapMs = 60_000;

/** Resolves once the clock shows `date`, however it got there; rejects with the signal's reason. */
export async function waitUntil(clock: Clock, date: Date, signal: AbortSignal): Promise<void> {
  for (;;) {
    const leftMs = date.getTime() - clock.now().getTime();
    if (leftMs <= 0) return;
    await clock.wait(Math.min(leftMs, longestNapMs), signal);
  }
}
