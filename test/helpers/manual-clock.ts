import type { Clock } from '../../modules/registry/src/status/clock.ts';

interface Sleeper {
  due: number;
  wake(): void;
}

/** A clock that only moves when a test moves it. */
export class ManualClock implements Clock {
  #now: number;
  readonly #sleepers = new Set<Sleeper>();
  #watchers: (() => void)[] = [];

  constructor(start: Date | string = '2026-11-24T09:00:00Z') {
    this.#now = new Date(start).getTime();
  }

  now(): Date {
    return new Date(this.#now);
  }

  wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const sleeper: Sleeper = {
        due: this.#now + milliseconds,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#sleepers.add(sleeper);
      for (const watcher of this.#watchers.splice(0)) watcher();
    });
  }

  /** Milliseconds until the earliest sleeper is due; undefined when nobody sleeps. */
  get nextWait(): number | undefined {
    const dues = [...this.#sleepers].map((sleeper) => sleeper.due);
    return dues.length === 0 ? undefined : Math.min(...dues) - this.#now;
  }

  /** Resolves once somebody sleeps (at once when somebody does). */
  async sleeping(): Promise<void> {
    if (this.#sleepers.size === 0) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  /** Moves on and wakes, in order, everyone who is due. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      const [next] = [...this.#sleepers].filter((sleeper) => sleeper.due <= end).sort((a, b) => a.due - b.due);
      if (!next) break;
      this.#now = Math.max(this.#now, next.due);
      next.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#now = end;
  }

  /** Somebody sets the clock: it shows another time, and timers, which count what passes, know nothing of it. */
  jump(milliseconds: number): void {
    this.#now += milliseconds;
    for (const sleeper of this.#sleepers) sleeper.due += milliseconds;
  }
}
