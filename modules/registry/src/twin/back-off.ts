export interface BackOff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** Milliseconds before attempt `attempt` (0 is the first retry): doubling, capped, spread by a quarter either way. */
export function backOffMs(attempt: number, backOff: BackOff, random: () => number = Math.random): number {
  const planned = Math.min(backOff.longestMs, backOff.firstMs * 2 ** attempt);
  return Math.round(planned * (0.75 + random() / 2));
}
