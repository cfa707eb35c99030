import { Readable } from 'node:stream';

/** The items of `source`, or the signal's reason, even when the source never yields again. */
export async function* abortable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let stop: (reason: Error) => void = () => undefined;
  const abort = (): void => stop(signal.reason as Error);
  let isDone = false;
  signal.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        stop = reject;
        iterator.next().then(resolve, reject);
      });
      isDone = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    if (!isDone) letGo(source, iterator);
  }
}

/** Not waited for: a source that hangs would hang its end too. */
function letGo<T>(source: AsyncIterable<T>, iterator: AsyncIterator<T>): void {
  if (source instanceof Readable) source.destroy();
  iterator.return?.().catch(() => undefined);
}
