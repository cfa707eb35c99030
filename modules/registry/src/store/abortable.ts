import { Readable } from 'node:stream';

/** The items of `source`, or the signal's reason, even when the source never yields again. */
export function abortable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterableIterator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let stop: (reason: Error) => void = () => undefined;
  const abort = (): void => {
    stop(signal.reason as Error);
  };
  let isDone = false;
  signal.addEventListener('abort', abort, { once: true });
  const end = (): void => {
    signal.removeEventListener('abort', abort);
    if (!isDone) letGo(source, iterator);
    isDone = true;
  };
  return {
    next: () =>
      new Promise((resolve, reject) => {
        stop = (reason) => {
          end();
          reject(reason);
        };
        if (signal.aborted) {
          abort();
          return;
        }
        iterator.next().then((next) => {
          if (next.done) {
            isDone = true;
            end();
          }
          resolve(next);
        }, stop);
      }),
    return: () => {
      end();
      return Promise.resolve({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Not waited for: a source that hangs would hang its end too. */
function letGo<T>(source: AsyncIterable<T>, iterator: AsyncIterator<T>): void {
  if (source instanceof Readable) source.destroy();
  iterator.return?.().catch(() => undefined);
}
