import type { Clock } from '../status/clock.ts';
import { TwinError } from './twin-error.ts';

export interface WithinOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Named in the error. */
  readonly what: string;
  readonly signal?: AbortSignal;
}

/**
 * `work`, but at most `timeoutMs` long: then TwinError TIMEOUT, or the signal's reason when that comes first.
 * The work itself goes on; whoever started it has to end it.
 */
export async function within<T>(work: Promise<T>, options: WithinOptions): Promise<T> {
  const { clock, timeoutMs, what, signal } = options;
  const timer = new AbortController();
  const abort = (): void => timer.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const expired = clock.wait(timeoutMs, timer.signal).then((): never => {
    throw new TwinError('TIMEOUT', `${what}: no answer in ${timeoutMs} ms`);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    signal?.removeEventListener('abort', abort);
    timer.abort();
  }
}
