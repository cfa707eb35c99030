import { once } from 'node:events';
import type { Clock } from '../status/clock.ts';
import { longestNapMs } from './wait-until.ts';

/** The engine's sleep: it ends by itself, or when somebody leaves a note for the engine and kicks it. */
export interface Nap {
  /** Until `date` (undefined: only a kick ends it) or a kick, and never longer than the clock can be trusted. */
  until(date: Date | undefined, onAsleep: () => void): Promise<void>;
  kick(): void;
}

export function createNap({ clock }: { readonly clock: Clock }): Nap {
  let sleeping = new AbortController();
  return {
    async until(date, onAsleep) {
      sleeping = new AbortController();
      const { signal } = sleeping;
      onAsleep();
      if (signal.aborted) return;
      const napMs = date && Math.min(date.getTime() - clock.now().getTime(), longestNapMs);
      try {
        if (napMs === undefined) await once(signal, 'abort');
        else await clock.wait(napMs, signal);
      } catch {
        // Kicked.
      }
    },
    kick: () => sleeping.abort(),
  };
}
