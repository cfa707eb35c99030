/** One holder a key; the others wait in the order they came. */
export interface Turns {
  /** Resolves with what ends the turn. Rejects with the signal's reason when that comes first. */
  take(key: string, signal?: AbortSignal): Promise<() => void>;
  /** What ends the turn; undefined when somebody has it, or after `close`. */
  tryTake(key: string): (() => void) | undefined;
  /** Turns away everyone who waits, and everyone who comes. */
  close(reason: Error): void;
}

interface Waiter {
  go(): void;
  leave(reason: Error): void;
}

export function createTurns(): Turns {
  const lines = new Map<string, Waiter[]>();
  let closed: Error | undefined;

  return {
    async take(key, signal) {
      signal?.throwIfAborted();
      if (closed) throw closed;
      const line = lines.get(key);
      if (line) await waitIn(line, signal);
      else lines.set(key, []);
      return endOf(key);
    },

    tryTake(key) {
      if (closed || lines.has(key)) return undefined;
      lines.set(key, []);
      return endOf(key);
    },

    close(reason) {
      closed = reason;
      for (const line of lines.values()) for (const waiter of line.splice(0)) waiter.leave(reason);
    },
  };

  function endOf(key: string): () => void {
    let over = false;
    return () => {
      if (over) return;
      over = true;
      const next = lines.get(key)?.shift();
      if (next) next.go();
      else lines.delete(key);
    };
  }
}

function waitIn(line: Waiter[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      line.splice(line.indexOf(waiter), 1);
      reject(signal?.reason as Error);
    };
    const waiter: Waiter = {
      go() {
        signal?.removeEventListener('abort', abort);
        resolve();
      },
      leave(reason) {
        signal?.removeEventListener('abort', abort);
        reject(reason);
      },
    };
    line.push(waiter);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
