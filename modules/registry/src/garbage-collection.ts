import { garbagePolicy, nextCollection } from './garbage-policy.ts';
import type { Settings } from './settings/settings.ts';
import type { Clock } from './status/clock.ts';
import type { Log } from './status/log.ts';
import type { Collected, Store } from './store/store.ts';
import { comesTo } from './sync/wait-until.ts';

export interface GarbageCollection {
  /** The settings from now on; by schedule only an active registry collects. */
  apply(settings: Settings, options: { readonly active: boolean }): void;
  /** Collects now; undefined: a collection runs already. */
  collectNow(options: { readonly dryRun: boolean }): Promise<Collected | undefined>;
  /** Stops a running collection at its next page, and waits for that. */
  close(): Promise<void>;
}

export interface GarbageCollectionOptions {
  readonly store: Pick<Store, 'collectGarbage' | 'outbox' | 'records'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called after each collection but dry runs; without a result it failed. */
  readonly onEnd: (collected: Collected | undefined) => void;
}

const recordKey = 'last-garbage-collection';

/** Collects by schedule and on call, one collection at a time. */
export async function startGarbageCollection(options: GarbageCollectionOptions): Promise<GarbageCollection> {
  const { store, clock, log, onEnd } = options;
  const closing = new AbortController();
  const started = clock.now();
  let last = await readLast();
  let settings: Settings | undefined;
  /** The schedule in force; undefined: none. */
  let schedule: string | undefined;
  let replan = new AbortController();
  let running: Promise<Collected> | undefined;
  const following = followSchedule();

  return {
    apply(next, { active }) {
      settings = next;
      const { enabled, schedule: wanted } = next.garbageCollection;
      const inForce = enabled && active ? wanted : undefined;
      if (inForce === schedule) return;
      schedule = inForce;
      replan.abort(new Error('another schedule'));
      replan = new AbortController();
    },

    async collectNow({ dryRun }) {
      return running || !settings ? undefined : await collect(settings, dryRun);
    },

    async close() {
      closing.abort(new Error('closing'));
      await following;
      await running?.catch(() => undefined);
    },
  };

  async function followSchedule(): Promise<void> {
    while (!closing.signal.aborted) {
      const due = schedule === undefined ? undefined : nextCollection(schedule, { started, last, now: clock.now() });
      try {
        const signal = AbortSignal.any([closing.signal, replan.signal]);
        if (!due) await fired(signal);
        else if (!(await comesTo(clock, due, signal))) continue; // planned anew, from a time that there is
      } catch {
        continue; // another schedule, or closing
      }
      if (running) await running.catch(() => undefined);
      else if (settings) await collect(settings, false).catch(() => undefined); // told in the log
    }
  }

  async function collect(inForce: Settings, dryRun: boolean): Promise<Collected> {
    running = collectOnce(inForce, dryRun);
    try {
      const collected = await running;
      log.info(dryRun ? 'garbage collection, dry run' : 'garbage collected', { ...collected });
      if (!dryRun) onEnd(collected);
      return collected;
    } catch (error) {
      if (closing.signal.aborted) throw error;
      log.error('garbage collection failed', { error });
      if (!dryRun) onEnd(undefined);
      throw error;
    } finally {
      running = undefined;
    }
  }

  async function collectOnce(inForce: Settings, dryRun: boolean): Promise<Collected> {
    const now = clock.now();
    if (!dryRun) last = now; // a failed one is repeated at the next time, not at once
    const { count: outboxPending } = await store.outbox.pending();
    const policy = garbagePolicy(inForce, { now, outboxPending });
    const collected = await store.collectGarbage({ ...policy, dryRun, signal: closing.signal });
    if (!dryRun) await store.records.put(recordKey, now.toISOString());
    return collected;
  }

  /** A new data volume has missed nothing. */
  async function readLast(): Promise<Date> {
    const stored = await store.records.get(recordKey);
    if (typeof stored === 'string') return new Date(stored);
    await store.records.put(recordKey, started.toISOString());
    return started;
  }
}

/** Rejects with the signal's reason when it fires. */
function fired(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const reason = (): void => reject(signal.reason as Error);
    if (signal.aborted) reason();
    else signal.addEventListener('abort', reason, { once: true });
  });
}
