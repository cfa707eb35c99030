import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { backOffMs, type BackOff } from '../status/back-off.ts';
import type { EdgeLimits } from './edge-client.ts';
import { readEdgeIdentity } from './edge-identity.ts';
import { loadSdk, type Sdk } from './edge-sdk.ts';
import { openEdgeSession, type EdgeSession, type RereadIntervals } from './edge-session.ts';
import { createListeners } from './listeners.ts';
import { createMethods } from './methods.ts';
import { messageOf, TwinError } from './twin-error.ts';
import type { Twin, TwinDocument } from './twin.ts';

export interface EdgeTwinOptions {
  /** The process environment, as IoT Edge fills it. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly timeouts?: Partial<EdgeLimits>;
  readonly rereadMs?: Partial<RereadIntervals>;
  readonly backOff?: BackOff;
}

const defaultLimits: EdgeLimits = {
  openMs: 60_000,
  answerMs: 30_000,
  closeMs: 5_000,
  tokenValidMs: 3_600_000,
  tokenMarginMs: 900_000,
};
const defaultReread: RereadIntervals = { synced: 600_000, unsynced: 30_000 };
const defaultBackOff: BackOff = { firstMs: 1_000, longestMs: 60_000 };

/**
 * The module twin over azure-iot-device. A connection lives until the first doubt (closed, an error, no answer in
 * time, a read that failed) and is then replaced by a new client, for ever, with a growing pause in between.
 * Throws when IoT Edge's variables are incomplete.
 */
export function createEdgeTwin(options: EdgeTwinOptions): Twin {
  const { variables, clock, log, backOff = defaultBackOff } = options;
  const identity = readEdgeIdentity(variables);
  const limits = { ...defaultLimits, ...options.timeouts };
  const rereadMs = { ...defaultReread, ...options.rereadMs };
  const methods = createMethods(log);
  const desired = createListeners<TwinDocument>(log);
  const stop = new AbortController();
  let session: EdgeSession | undefined;
  let running: Promise<void> | undefined;

  return {
    onDesired: desired.add,
    onMethod(name, handler) {
      const known = [...methods.names()].includes(name);
      methods.set(name, handler);
      if (!known) session?.listen(name);
    },
    start: () => void (running ??= run()),
    report: (patch) => (session ? session.report(patch) : offline()),
    send: (output, message) => (session ? session.send(output, message) : offline()),
    async close() {
      stop.abort();
      await running;
    },
  };

  async function run(): Promise<void> {
    const sdk = await loadSdk();
    let attempt = 0;
    for (;;) {
      const begun = clock.now().getTime();
      const reason = await live(sdk);
      if (stop.signal.aborted) return;
      // A connection that never lasts is no reason to hurry: two modules with one identity throw each other out.
      if (clock.now().getTime() - begun > backOff.longestMs) attempt = 0;
      const pauseMs = backOffMs(attempt, backOff);
      const level = attempt === 0 ? 'warn' : 'debug';
      log[level]('no connection to the hub; trying again', { reason, attempt, pauseMs });
      attempt++;
      await clock.wait(pauseMs, stop.signal).catch(() => undefined);
    }
  }

  /** One connection's life; the reason of its end. Never rejects. */
  async function live(sdk: Sdk): Promise<string> {
    try {
      const opened = await openEdgeSession({
        ...{ sdk, identity, clock, log, limits, rereadMs, methods, signal: stop.signal },
        onDocument: desired.tell,
      });
      session = opened;
      const reason = await opened.run();
      session = undefined;
      await opened.close();
      return reason.message;
    } catch (error) {
      return messageOf(error);
    }
  }

  function offline(): Promise<never> {
    return Promise.reject(new TwinError('OFFLINE', 'there is no connection to the hub'));
  }
}
