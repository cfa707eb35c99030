import { setImmediate } from 'node:timers/promises';
import type { TransferRate } from '../settings/transfer-rate.ts';
import type { Clock } from '../status/clock.ts';

export interface TakeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Asked at each turn; those for whom it is true go before all others. */
  readonly isUrgent?: () => boolean;
}

/** One budget of bytes for everything that crosses the link, both ways. */
export interface RateLimit {
  /**
   * Resolves with how many of `sizeBytes` may pass now, at least one; ask again for the rest. Rejects with the
   * signal's reason. Where there is a limit, that is never more than a twentieth of a second's worth.
   */
  take(sizeBytes: number, options?: TakeOptions): Promise<number>;
  /** For what has passed already: those who come next wait for it. */
  charge(sizeBytes: number): void;
  /** Looked at again at least every second, and whenever it says that it changes. */
  follow(rateAt: (now: Date) => TransferRate): void;
}

interface Waiter {
  readonly sizeBytes: number;
  readonly isUrgent: () => boolean;
  readonly grant: (sizeBytes: number) => void;
}

const longestNapMs = 1000;
const sliceMs = 50;
/** What timers that fire late may catch up; with a slice, the most by which any time can exceed its share. */
const catchUpMs = 200;

/** A token bucket: whoever finds it above zero takes a slice and leaves it in debt, so the average holds exactly. */
export function createRateLimit({ clock }: { readonly clock: Clock }): RateLimit {
  const waiting: Waiter[] = [];
  let rateAt = (): TransferRate => ({ bytesPerSecond: 0, until: undefined });
  let rate = rateAt();
  let balance = 0;
  let refilledAtMs = clock.now().getTime();
  let isServing = false;
  let nap = new AbortController();

  function refill(): void {
    const now = clock.now();
    const elapsedMs = Math.max(0, now.getTime() - refilledAtMs);
    refilledAtMs = now.getTime();
    const { bytesPerSecond } = rate;
    balance = Math.min((bytesPerSecond * catchUpMs) / 1000, balance + (elapsedMs * bytesPerSecond) / 1000);
    rate = rateAt();
    if (rate.bytesPerSecond === 0) balance = 0;
  }

  function napMs(): number {
    const { bytesPerSecond, until } = rate;
    const dueMs = Math.max(1, Math.ceil(((1 - balance) / bytesPerSecond) * 1000));
    const changeMs = until ? Math.max(1, until.getTime() - clock.now().getTime()) : dueMs;
    return Math.min(longestNapMs, dueMs, changeMs);
  }

  /** Runs while somebody waits; never rejects. */
  async function serve(): Promise<void> {
    if (isServing) return;
    isServing = true;
    while (waiting.length > 0) {
      refill();
      if (rate.bytesPerSecond > 0 && balance <= 0) {
        nap = new AbortController();
        await clock.wait(napMs(), nap.signal).catch(() => undefined);
        continue;
      }
      const urgent = waiting.find(({ isUrgent }) => isUrgent());
      const next = urgent ?? waiting[0];
      if (!next) break;
      waiting.splice(waiting.indexOf(next), 1);
      next.grant(spend(next.sizeBytes));
      // Time to ask again before the others come.
      if (urgent) await setImmediate();
    }
    isServing = false;
  }

  function spend(sizeBytes: number): number {
    const { bytesPerSecond } = rate;
    if (bytesPerSecond === 0) return sizeBytes;
    const granted = Math.min(sizeBytes, Math.max(1, Math.floor((bytesPerSecond * sliceMs) / 1000)));
    balance -= granted;
    return granted;
  }

  return {
    async take(sizeBytes, { signal, isUrgent = () => false } = {}) {
      signal?.throwIfAborted();
      refill();
      if (rate.bytesPerSecond === 0 && waiting.length === 0) return sizeBytes;
      return new Promise((resolve, reject) => {
        const abort = (): void => {
          waiting.splice(waiting.indexOf(waiter), 1);
          if (waiting.length === 0) nap.abort();
          reject(signal?.reason as Error);
        };
        const grant = (granted: number): void => {
          signal?.removeEventListener('abort', abort);
          resolve(granted);
        };
        const waiter: Waiter = { sizeBytes, isUrgent, grant };
        signal?.addEventListener('abort', abort, { once: true });
        waiting.push(waiter);
        void serve();
      });
    },
    charge(sizeBytes) {
      refill();
      if (rate.bytesPerSecond > 0) balance -= sizeBytes;
    },
    follow(next) {
      refill();
      rateAt = () => next(clock.now());
      rate = rateAt();
    },
  };
}
