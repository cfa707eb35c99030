/** What `promise` comes to, or the signal's reason when that comes first; the work itself goes on. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (reason: Error) => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => (stop = reject));
  const abort = (): void => stop(signal.reason as Error);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
