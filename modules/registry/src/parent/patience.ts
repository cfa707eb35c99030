import { backOffMs } from '../status/back-off.ts';

/** How long the client waits, and how often it asks again. */
export interface Patience {
  /** Times a request is sent before its failure is final. */
  readonly attempts: number;
  /** Wait before the second attempt; doubled for each one after it, and jittered. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** A `Retry-After` beyond this is not waited for here: the error tells it to the caller. */
  readonly longestRetryAfterMs: number;
  readonly connectTimeoutMs: number;
  /** From the request to the answer's headers. */
  readonly answerTimeoutMs: number;
  /** The same where nothing has to be looked up: whether the parent is there at all. */
  readonly pingTimeoutMs: number;
  /** The same where the parent may have to hash or store before it answers. */
  readonly writeTimeoutMs: number;
  /** Between two pieces of an answer's body; there is no limit on the whole. */
  readonly idleTimeoutMs: number;
}

export const defaultPatience: Patience = {
  attempts: 4,
  firstDelayMs: 500,
  longestDelayMs: 30_000,
  longestRetryAfterMs: 60_000,
  connectTimeoutMs: 10_000,
  answerTimeoutMs: 30_000,
  pingTimeoutMs: 10_000,
  writeTimeoutMs: 300_000,
  idleTimeoutMs: 60_000,
};

/**
 * Milliseconds to wait after the failed attempt number `attempt` (from 1); undefined: give up.
 * What the parent asks for is honoured or, when it is too long to wait here, passed on; it is never undercut.
 */
export function delayBeforeRetry(
  patience: Patience,
  attempt: number,
  retryAfterSeconds: number | undefined,
  random: number,
): number | undefined {
  if (attempt >= patience.attempts) return undefined;
  if (retryAfterSeconds !== undefined) {
    return retryAfterSeconds * 1000 <= patience.longestRetryAfterMs ? retryAfterSeconds * 1000 : undefined;
  }
  const { firstDelayMs: firstMs, longestDelayMs: longestMs } = patience;
  return backOffMs(attempt - 1, { firstMs, longestMs }, () => random);
}

/** `Retry-After` in seconds: a number or an HTTP date (RFC 9110, 10.2.3); undefined for nonsense. */
export function parseRetryAfter(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now.getTime()) / 1000));
}
