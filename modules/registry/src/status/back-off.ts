export interface BackOff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * Milliseconds to wait before try number `attempt` + 1 (0: after the first failure): doubles up to `longestMs`,
 * and the upper half is drawn by lot (`random`: 0 to 1) so that many sites do not come back in step.
 */
export function backOffMs(
  attempt: number,
  { firstMs, longestMs }: BackOff,
  random: () => number = Math.random,
): number {
  const full = Math.min(longestMs, firstMs * 2 ** attempt);
  return full / 2 + (random() * full) / 2;
}
