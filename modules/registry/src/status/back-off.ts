export interface BackOff {
  readonly firstMs: number;
  readonly longestMs: number;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
}

/**
 * Milliseconds to wait before try number `attempt` + 1 (0: after the first failure): doubles up to `longestMs`,
 * and the upper half is drawn by lot so that many sites do not come back in step.
 */
export function backOffMs(attempt: number, { firstMs, longestMs, random }: BackOff): number {
  const full = Math.min(longestMs, firstMs * 2 ** attempt);
  return full / 2 + (random() * full) / 2;
}
