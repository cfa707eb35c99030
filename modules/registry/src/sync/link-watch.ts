import type { ParentRegistry } from '../parent/parent.ts';
import type { Clock } from '../status/clock.ts';

/** Tells a pass that its parent is gone, long before the patience of each of its requests ends. */
export interface LinkWatch {
  /** Watches the link while `transfer` is at work. */
  during<T>(transfer: () => Promise<T>): Promise<T>;
  /** Asks the parent whether it is there: why not, or undefined. One question for all who ask at a time. */
  silence(): Promise<Error | undefined>;
  /** Something broke off: asks now. */
  doubt(): void;
  /** Resolves when nothing is asked any more. */
  close(): Promise<void>;
}

/** A transfer that moves no byte for so long is doubted. */
const stillMs = 20_000;

/**
 * Asks whenever transfers have moved no byte for 20 s; `onSilent` is called with the reason when the parent does not answer. A slow
 * link, and a parent that is busy with what it was sent, answer the question, and nothing ends for them.
 */
export function watchLink(options: {
  readonly parent: Pick<ParentRegistry, 'ping'>;
  readonly clock: Clock;
  /** Of the pass. */
  readonly signal: AbortSignal;
  /** Changes with each byte that crosses the link. */
  readonly movedBytes: () => number;
  readonly onSilent: (reason: Error) => void;
}): LinkWatch {
  const { parent, clock, movedBytes, onSilent } = options;
  const closing = new AbortController();
  const signal = AbortSignal.any([options.signal, closing.signal]);
  let underWay = 0;
  let watching: Promise<void> | undefined;
  let asking: Promise<Error | undefined> | undefined;

  function silence(): Promise<Error | undefined> {
    asking ??= parent
      .ping({ signal })
      .then(
        () => undefined,
        (error: unknown) => error as Error,
      )
      .finally(() => (asking = undefined));
    return asking;
  }

  async function check(): Promise<void> {
    const reason = signal.aborted ? undefined : await silence();
    if (reason && !signal.aborted) onSilent(reason);
  }

  async function watch(): Promise<void> {
    while (underWay > 0 && !signal.aborted) {
      const before = movedBytes();
      await clock.wait(stillMs, signal).catch(() => undefined);
      if (underWay > 0 && movedBytes() === before) await check();
    }
    watching = undefined;
  }

  return {
    async during(transfer) {
      underWay += 1;
      watching ??= watch();
      try {
        return await transfer();
      } finally {
        underWay -= 1;
      }
    },
    silence,
    doubt: () => void check(),
    async close() {
      closing.abort();
      await Promise.all([watching, asking]);
    },
  };
}
