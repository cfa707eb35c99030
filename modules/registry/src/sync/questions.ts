import { LRUCache } from 'lru-cache';
import { RegistryError } from '../errors.ts';
import { ParentError } from '../parent/parent.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { OnDemandResult } from '../status/metrics.ts';

/** Short questions to the parent on behalf of clients who wait. */
export interface Questions {
  /**
   * Asks once, however many ask for the same `key` at a time. "Not there" holds for a few seconds, and so does, for
   * every key, that the parent does not answer. Throws UNAVAILABLE when there is no answer, after 20 s at the latest.
   * A no of the parent's counts as not there: it will not give what a client asks for.
   */
  ask<T>(key: string, work: (signal: AbortSignal) => Promise<T | undefined>): Promise<T | undefined>;
  forget(): void;
}

const answerLimitMs = 20_000;
const memoryMs = 5_000;
const keysKept = 10_000;

export function createQuestions(options: {
  readonly clock: Clock;
  readonly log: Log;
  readonly onAnswer?: ((result: OnDemandResult) => void) | undefined;
  /** Ends what is asked. */
  readonly stop: () => AbortSignal;
}): Questions {
  const { clock, log, stop, onAnswer } = options;
  const running = new Map<string, Promise<unknown>>();
  const missingUntil = new LRUCache<string, number>({ max: keysKept });
  let silentUntilMs = -Infinity;

  /** Neither does a clock that was set back make "a few seconds" longer. */
  function isNow(untilMs: number): boolean {
    const nowMs = clock.now().getTime();
    return nowMs < untilMs && untilMs - nowMs <= memoryMs;
  }

  async function once<T>(key: string, work: (signal: AbortSignal) => Promise<T | undefined>): Promise<T | undefined> {
    const ended = new AbortController();
    const late = new AbortController();
    clock.wait(answerLimitMs, ended.signal).then(
      () => late.abort(new ParentError('unreachable', 'the parent did not answer in time')),
      () => undefined,
    );
    try {
      const found = await work(AbortSignal.any([stop(), late.signal]));
      if (found === undefined) missingUntil.set(key, clock.now().getTime() + memoryMs);
      onAnswer?.(found === undefined ? 'Missing' : 'Found');
      return found;
    } catch (error) {
      if (stop().aborted || (error instanceof RegistryError && error.code === 'UNAVAILABLE')) throw unavailable(error);
      if (!(error instanceof ParentError)) throw error;
      log.debug('The parent did not give what a client misses.', { key, error: error.message });
      if (error.failure === 'denied' || error.failure === 'refused') {
        missingUntil.set(key, clock.now().getTime() + memoryMs);
        onAnswer?.('Missing');
        return undefined;
      }
      onAnswer?.('Failed');
      if (error.failure === 'unreachable') silentUntilMs = clock.now().getTime() + memoryMs;
      throw unavailable(error);
    } finally {
      ended.abort();
    }
  }

  return {
    async ask<T>(key: string, work: (signal: AbortSignal) => Promise<T | undefined>) {
      if (isNow(missingUntil.get(key) ?? -Infinity)) return undefined;
      if (isNow(silentUntilMs)) throw unavailable();
      const asked = running.get(key) as Promise<T | undefined> | undefined;
      if (asked) return asked;
      const asking = once(key, work).finally(() => running.delete(key));
      running.set(key, asking);
      return asking;
    },
    forget() {
      missingUntil.clear();
      silentUntilMs = -Infinity;
    },
  };
}

/** For a client: what it asks for may be at the parent, which cannot be asked now. */
export function unavailable(cause?: unknown): RegistryError {
  const told = cause instanceof ParentError ? cause.retryAfterSeconds : undefined;
  return new RegistryError('UNAVAILABLE', {
    message: 'this is not here, and the parent registry cannot be asked for it now',
    retryAfterSeconds: told ?? memoryMs / 1000,
    cause,
  });
}
