import type { ParentRegistry } from '../parent/parent.ts';
import type { Clock } from '../status/clock.ts';

/** Tells a pass that its parent is gone, long before the patience of each of its requests ends. */
export interface LinkWatch {
  /** Asks the parent whether it is there: why not, or undefined. One question for all who ask at a time. */
  silence(): Promise<Error | undefined>;
  /** Something broke off: asks now. */
  doubt(): void;
  /** Resolves when nothing is asked any more. */
  close(): Promise<void>;
}

/** Between two looks at whether something came. */
const lookMs = 5_000;
/** A link on which so many looks in a row see nothing is doubted. */
const stillLooks = 4;

/**
 * Asks, until it is closed, whenever no answer came and no byte moved for 20 s; `onSilent` is called with the reason when
 * the parent does not answer, and nothing else came meanwhile. A slow link, and a parent that is busy with what it was
 * sent, answer the question, and nothing ends for them.
 */
export function watchLink(options: {
  readonly parent: Pick<ParentRegistry, 'ping' | 'answers'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Changes with each byte that crosses the link. */
  readonly movedBytes: () => number;
  readonly onSilent: (reason: Error) => void;
}): LinkWatch {
  const { parent, clock, movedBytes, onSilent } = options;
  const closing = new AbortController();
  const signal = AbortSignal.any([options.signal, closing.signal]);
  let asking: Promise<Error | undefined> | undefined;

  /** For something that comes after it to be seen. */
  function stillness(): () => boolean {
    const [bytes, answers] = [movedBytes(), parent.answers];
    return () => movedBytes() === bytes && parent.answers === answers;
  }

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
    const isStill = stillness();
    const reason = signal.aborted ? undefined : await silence();
    if (reason && isStill() && !signal.aborted) onSilent(reason);
  }

  async function watch(): Promise<void> {
    for (let looks = 0; !signal.aborted;) {
      const isStill = stillness();
      await clock.wait(lookMs, signal).catch(() => undefined);
      looks = isStill() ? looks + 1 : 0;
      if (looks < stillLooks) continue;
      await check();
      looks = 0;
    }
  }

  const watching = watch();

  return {
    silence,
    doubt: () => void check(),
    async close() {
      closing.abort();
      await Promise.all([watching, asking]);
    },
  };
}
