import type { Clock } from '../status/clock.ts';

/** One budget of bytes for everything that crosses the link, both ways. */
export interface RateLimit {
  /** Resolves once `sizeBytes` may pass; rejects with the signal's reason. */
  take(sizeBytes: number, signal?: AbortSignal): Promise<void>;
  /** 0: no limit. Those who wait feel it within a second. */
  setBytesPerSecond(bytesPerSecond: number): void;
}

const longestNapMs = 1000;

/**
 * A token bucket that holds one second's bytes. Whoever finds it above zero may pass and leaves it in debt,
 * so a chunk larger than the bucket passes too and the average still holds.
 */
export function createRateLimit(options: { readonly clock: Clock; readonly bytesPerSecond?: number }): RateLimit {
  const { clock } = options;
  let rate = options.bytesPerSecond ?? 0;
  let balance = rate;
  let refilledAt = clock.now().getTime();

  function refill(): void {
    const now = clock.now().getTime();
    balance = Math.min(rate, balance + (Math.max(0, now - refilledAt) * rate) / 1000);
    refilledAt = now;
  }

  return {
    async take(sizeBytes, signal) {
      for (;;) {
        signal?.throwIfAborted();
        if (rate === 0) return;
        refill();
        if (balance > 0) break;
        await clock.wait(Math.min(longestNapMs, Math.ceil(((1 - balance) / rate) * 1000)), signal);
      }
      balance -= sizeBytes;
    },
    setBytesPerSecond(bytesPerSecond) {
      if (bytesPerSecond === rate) return;
      refill();
      if (rate === 0) balance = bytesPerSecond;
      rate = bytesPerSecond;
      balance = Math.min(balance, rate);
    },
  };
}
