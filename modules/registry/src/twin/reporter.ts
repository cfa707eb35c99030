import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { backOffMs, type BackOff } from '../status/back-off.ts';
import { applyMergePatch, createMergePatch } from './merge-patch.ts';
import { messageOf } from './twin-error.ts';
import { fitTwinLimits, sizeBytesOf, twinLimits } from './twin-limits.ts';
import type { JsonObject, Twin } from './twin.ts';
import { within } from './within.ts';

export interface ReporterOptions {
  readonly twin: Pick<Twin, 'report'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Between two patches; 5 seconds when absent. IoT Hub meters twin updates for the whole hub. */
  readonly intervalMs?: number;
  readonly backOff?: BackOff;
}

/** Keeps the hub's reported section equal to the wanted document, with as few and as small patches as that takes. */
export interface Reporter {
  /** The whole wanted document. The first change goes out at once, later ones together after the interval. */
  set(document: JsonObject): void;
  /** What the hub says it holds; tell it after each reconnect. Ends a pause after a failure. */
  rebase(reported: JsonObject): void;
  /** True when the hub holds everything; false when that took longer than `timeoutMs`. */
  flush(timeoutMs: number): Promise<boolean>;
  /** Ends at once; what is not sent yet is not sent. */
  close(): Promise<void>;
}

const defaultBackOff: BackOff = { firstMs: 5_000, longestMs: 300_000 };

export function createReporter(options: ReporterOptions): Reporter {
  const { twin, clock, log, intervalMs = 5_000, backOff = defaultBackOff } = options;
  const stop = new AbortController();
  let wanted: JsonObject | undefined;
  let held: JsonObject = {};
  let sentAt = -Infinity;
  let failures = 0;
  let sending: Promise<void> | undefined;
  let pause = new AbortController();
  let hurry = false;
  let complaint = '';

  return {
    set(document) {
      const { document: fitted, problems } = fitTwinLimits(document);
      const said = problems.map(({ path }) => path).join();
      if (problems.length > 0 && said !== complaint) log.warn('reported properties were cut to size', { problems });
      complaint = said;
      wanted = fitted;
      wake();
    },

    rebase(reported) {
      held = reported;
      failures = 0;
      pause.abort();
      wake();
    },

    async flush(timeoutMs) {
      hurry = true;
      pause.abort();
      wake();
      try {
        await within(sending ?? Promise.resolve(), { clock, timeoutMs, what: 'reporting', signal: stop.signal });
      } catch {
        return false;
      } finally {
        hurry = false;
      }
      return nextPatch() === undefined;
    },

    async close() {
      stop.abort();
      pause.abort();
      await sending;
    },
  };

  function wake(): void {
    if (isClosed()) return;
    sending ??= sendAll().finally(() => {
      sending = undefined;
      // Something may have changed after the last comparison.
      if (nextPatch()) wake();
    });
  }

  /** Goes on until the hub holds what is wanted. Never rejects. */
  async function sendAll(): Promise<void> {
    while (!isClosed() && nextPatch()) {
      await rest();
      if (isClosed()) return;
      // Computed after the pause, so that everything that changed meanwhile travels together.
      const patch = nextPatch();
      if (patch === undefined) return;
      sentAt = clock.now().getTime();
      try {
        await twin.report(patch);
        held = applyMergePatch(held, patch);
        failures = 0;
      } catch (error) {
        log.debug('reported properties not taken', { error: messageOf(error), failures });
        failures++;
      }
    }
  }

  function isClosed(): boolean {
    return stop.signal.aborted;
  }

  async function rest(): Promise<void> {
    const dueMs = failures > 0 ? backOffMs(failures - 1, backOff) : hurry ? 0 : intervalMs;
    // A clock that was set back does not make the pause longer.
    const leftMs = dueMs - Math.max(0, clock.now().getTime() - sentAt);
    if (leftMs <= 0) return;
    pause = new AbortController();
    await clock.wait(leftMs, pause.signal).catch(() => undefined);
  }

  /** Properties that fit one message; the rest follows, as the difference is computed anew each time. */
  function nextPatch(): JsonObject | undefined {
    const patch = wanted && createMergePatch(held, wanted);
    if (!patch || sizeBytesOf(patch) <= twinLimits.sectionBytes) return patch;
    const [first, ...rest] = Object.entries(patch).sort(([, a], [, b]) => sizeBytesOf(a) - sizeBytesOf(b));
    let part = Object.fromEntries(first ? [first] : []);
    for (const [key, value] of rest) {
      const longer = { ...part, [key]: value };
      if (sizeBytesOf(longer) > twinLimits.sectionBytes) break;
      part = longer;
    }
    return part;
  }
}
