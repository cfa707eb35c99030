export interface Transfer {
  readonly started: Date;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

const roundToMs = 60_000;

/**
 * When the transfer will be done if it goes on at its average rate, rounded up to the minute;
 * undefined while nothing was moved, or when nothing is left.
 */
export function estimateEnd(transfer: Transfer, now: Date): Date | undefined {
  const { started, bytesDone, bytesTotal } = transfer;
  const elapsedMs = now.getTime() - started.getTime();
  if (bytesDone <= 0 || bytesDone >= bytesTotal || elapsedMs <= 0) return undefined;
  const leftMs = ((bytesTotal - bytesDone) / bytesDone) * elapsedMs;
  const end = new Date(Math.ceil((now.getTime() + leftMs) / roundToMs) * roundToMs);
  return Number.isNaN(end.getTime()) ? undefined : end;
}
