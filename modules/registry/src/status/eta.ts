export interface Transfer {
  readonly since: Date;
  /** Since then; what a resumed transfer had moved before says nothing of the link of today. */
  readonly bytesMoved: number;
  readonly bytesLeft: number;
}

const roundToMs = 60_000;

/**
 * When the transfer will be done if it goes on at its average rate, rounded up to the minute;
 * undefined while nothing was moved, or when nothing is left.
 */
export function estimateEnd({ since, bytesMoved, bytesLeft }: Transfer, now: Date): Date | undefined {
  const elapsedMs = now.getTime() - since.getTime();
  if (bytesMoved <= 0 || bytesLeft <= 0 || elapsedMs <= 0) return undefined;
  const leftMs = (bytesLeft / bytesMoved) * elapsedMs;
  const end = new Date(Math.ceil((now.getTime() + leftMs) / roundToMs) * roundToMs);
  return Number.isNaN(end.getTime()) ? undefined : end;
}
