import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { ParentRegistry } from '../parent/parent.ts';
import type { ParentSettings, Settings } from '../settings/settings.ts';
import { isContinuous, nextRun } from '../settings/schedule.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { SyncStatus, SyncTrigger } from '../status/sync-status.ts';
import type { Store } from '../store/store.ts';
import { backOffMs } from '../status/back-off.ts';
import { createBlobTransfers } from './blob-transfers.ts';
import { createDetails } from './details.ts';
import { statusOf } from './engine-status.ts';
import { followMessages } from './follow-messages.ts';
import { nextStep, type Step } from './next-step.ts';
import { createPassProgress } from './progress.ts';
import { runPass, type PassEnd } from './run-pass.ts';
import { emptyMemory, loadMemory, saveMemory } from './sync-memory.ts';
import { longestNapMs } from './wait-until.ts';
import { changeBetween, connectionKey, wantedFrom, type Wanted } from './wanted.ts';

export interface SyncEngineOptions {
  readonly store: Store;
  readonly connect: (parent: ParentSettings) => ParentRegistry;
  readonly clock: Clock;
  readonly log: Log;
  /** Called at each meaningful change; the listener coalesces. */
  readonly onStatus?: (status: SyncStatus) => void;
  /** All that `recover` asked for is here again. */
  readonly onRecovered?: () => void;
  /** 0 to 1; default Math.random. */
  readonly random?: () => number;
}

/** Keeps this registry and its parent the same, as far as rules, windows and the link allow. */
export interface SyncEngine {
  /** Takes new settings into force. A change of what is to be synced, or with whom, leads to a pass at once. */
  apply(settings: Settings, options: { readonly active: boolean }): void;
  /** Something was put into the outbox: carries it up now if the window is open. */
  wake(): void;
  /** An operator asks for a full pass, also outside a window; not started while one runs or none may run. */
  resync(): Promise<{ readonly started: boolean }>;
  /**
   * Something that was here is lost: the next pass compares everything, down to single blobs, and so does each after
   * it until one succeeds, over restarts. Resolves once that is remembered.
   */
  recover(): Promise<void>;
  status(): SyncStatus;
  /** Stops at once; what was received stays for the next start. Resolves when nothing runs any more. */
  close(): Promise<void>;
}

interface Running {
  readonly step: Exclude<Step, { kind: 'wait' }>;
  readonly stop: AbortController;
  parentAnswered: boolean;
}

const passBackOff = { firstMs: 1000, longestMs: 60_000 };

/** One loop decides (`nextStep`), runs (`runPass`) or sleeps; everything else only leaves notes for it and kicks it. */
export function createSyncEngine(options: SyncEngineOptions): SyncEngine {
  const { store, connect, clock, log, onStatus, onRecovered, random = Math.random } = options;
  const transfers = createBlobTransfers({ clock, log, random });
  const details = createDetails({ clock });
  let progress = createPassProgress({ onChange: notifySoon });
  let memory = emptyMemory;
  let outbox: SyncStatus['outbox'] = { pending: 0 };
  let wanted: Wanted | undefined;
  let parent: { readonly registry: ParentRegistry; readonly key: string } | undefined;
  let feed: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  let contacted = false;
  let asked: SyncTrigger | undefined;
  let woken = true;
  let stateBefore: SyncStatus['state'] | undefined;
  let failures = 0;
  let retryAt: Date | undefined;
  let running: Running | undefined;
  let next: Date | undefined;
  let closed = false;
  let noticeDue = false;
  let sleeping = new AbortController();

  async function load(): Promise<void> {
    try {
      memory = await loadMemory(store.records);
      await countOutbox();
    } catch (error) {
      log.error('What was known of earlier syncs cannot be read.', { error });
    }
  }

  async function loop(): Promise<void> {
    await loaded;
    // Asked after the wait: nothing wakes a loop that goes to sleep when it is closed already.
    for (await dropOldParent(); !closed; await dropOldParent()) {
      tendFeed();
      const step = chooseStep();
      next = step?.kind === 'wait' ? step.until : scheduledNext();
      if (step && step.kind !== 'wait') await run(step);
      else await sleep(step?.until);
    }
    await closeParent();
  }

  function chooseStep(): Step | undefined {
    if (!wanted?.parent || !wanted.active) return undefined;
    const changed = memory.wanted !== wanted.syncKey ? 'Scheduled' : undefined;
    return nextStep({
      now: clock.now(),
      sync: wanted.parent.syncProperties,
      memory,
      asked: asked ?? (retryAt ? undefined : changed),
      woken: woken && outbox.pending > 0,
      retryAt,
    });
  }

  function scheduledNext(): Date | undefined {
    return wanted?.parent && wanted.active ? nextRun(wanted.parent.syncProperties, clock.now()) : undefined;
  }

  /** Until `until` or a kick, and never longer than the clock can be trusted. */
  async function sleep(until: Date | undefined): Promise<void> {
    sleeping = new AbortController();
    const { signal } = sleeping;
    notify();
    if (signal.aborted) return;
    const napMs = until && Math.min(until.getTime() - clock.now().getTime(), longestNapMs);
    try {
      // Nothing is planned: only a kick ends this.
      if (napMs === undefined) await once(signal, 'abort');
      else await clock.wait(napMs, signal);
    } catch {
      // Kicked.
    }
  }

  async function run(step: Running['step']): Promise<void> {
    const work = { step, stop: new AbortController(), parentAnswered: false };
    running = work;
    woken = false;
    let end: PassEnd;
    try {
      end = await runStep(work);
    } catch (error) {
      log.error('A sync pass could not be run.', { error });
      details.report('SYNC_FAILED', '', error instanceof Error ? error.message : String(error));
      end = { state: 'Failed', retryAfterMs: 0 };
    }
    await conclude(work, end);
    running = undefined;
    notify();
  }

  async function runStep(work: Running): Promise<PassEnd> {
    const { step, stop } = work;
    if (!wanted?.parent) return { state: 'Pending', retryAfterMs: 0 };
    const { settings } = wanted;
    parent ??= connected(wanted.parent);
    details.beginPass(randomUUID());
    if (step.kind === 'pass') {
      asked = undefined;
      progress = createPassProgress({ onChange: notifySoon });
      const { trigger } = step;
      memory = { ...memory, trigger, state: 'Syncing', lastStart: clock.now(), wanted: wanted.syncKey };
      await saveMemory(store.records, memory);
    }
    notify();
    return await runPass({
      parts: {
        store,
        parent: parent.registry,
        mode: settings.mode,
        rules: settings.repositories,
        messageTtlMs: wanted.parent.syncProperties.messageTtlMs,
        concurrency: settings.transfer.concurrency,
        thorough: memory.recovery || memory.trigger !== 'Scheduled',
        clock,
        log,
        transfers,
        details,
        progress,
      },
      drainOnly: step.kind === 'drain',
      closes: step.closes,
      stop: stop.signal,
      onParentAnswered: () => {
        contacted = work.parentAnswered = true;
        notify();
      },
    });
  }

  /** Writes down how it went and when to try again. */
  async function conclude({ step, stop }: Running, { state, retryAfterMs }: PassEnd): Promise<void> {
    const now = clock.now();
    if (state === 'Failed') {
      const waitMs = Math.max(retryAfterMs, backOffMs(failures, { ...passBackOff, random }));
      retryAt = new Date(now.getTime() + waitMs);
      failures += 1;
    } else {
      retryAt = undefined;
      failures = 0;
    }
    if (state !== 'Succeeded') woken = true;
    try {
      await countOutbox();
      if (step.kind === 'drain') return;
      const lastSuccess = state === 'Succeeded' ? now : memory.lastSuccess;
      // One that was asked for meanwhile has stopped this pass, however far it came.
      const recovered = memory.recovery && state === 'Succeeded' && !stop.signal.aborted;
      memory = { ...memory, state, lastEnd: now, lastSuccess, recovery: memory.recovery && !recovered };
      await saveMemory(store.records, memory);
      const { blobsDone, bytesDone } = progress;
      const news = state !== stateBefore || blobsDone > 0;
      log[news ? 'info' : 'debug']('A sync pass ended.', { trigger: memory.trigger, state, blobsDone, bytesDone });
      stateBefore = state;
      if (recovered) onRecovered?.();
    } catch (error) {
      log.error('The result of a sync pass could not be written down.', { error });
    }
  }

  async function countOutbox(): Promise<void> {
    const { count, oldest } = await store.outbox.pending();
    outbox = { pending: count, ...(oldest && { oldest }) };
  }

  async function dropOldParent(): Promise<void> {
    if (!parent || (wanted?.parent && connectionKey(wanted.parent) === parent.key)) return;
    contacted = false;
    details.clear();
    await closeParent();
  }

  function connected(to: ParentSettings): { readonly registry: ParentRegistry; readonly key: string } {
    return { registry: connect(to), key: connectionKey(to) };
  }

  /** Listens at the parent while the link may be used at any time; with windows, the schedule does it alone. */
  function tendFeed(): void {
    const to = wanted?.active === true ? wanted.parent : undefined;
    if (!to || !isContinuous(to.syncProperties.schedule)) feed?.stop.abort();
    else if (!feed) {
      // Also after a restart with nothing due: changes must not wait for the next run.
      parent ??= connected(to);
      const stop = new AbortController();
      const { signal } = stop;
      const ended = followMessages({ parent: parent.registry, signal, clock, log, random, onChange: askForPass });
      feed = { stop, ended };
    }
    if (feed?.stop.signal.aborted) feed = undefined;
  }

  function askForPass(): void {
    asked ??= 'Scheduled';
    kick();
  }

  async function closeParent(): Promise<void> {
    const old = parent?.registry;
    parent = undefined;
    feed?.stop.abort();
    await feed?.ended;
    feed = undefined;
    try {
      await old?.close();
    } catch (error) {
      log.warn('The connection to the parent did not close cleanly.', { error });
    }
  }

  function kick(): void {
    sleeping.abort();
  }

  /** A stopped pass is asked for again, so that what an operator started is not lost. */
  function restart(): void {
    if (running?.step.kind === 'pass') asked ??= running.step.trigger;
    running?.stop.abort(new Error('the settings changed'));
    retryAt = undefined;
    failures = 0;
  }

  function status(): SyncStatus {
    const now = running && { kind: running.step.kind, parentAnswered: running.parentAnswered };
    return statusOf({ wanted, memory, progress, details, outbox, contacted, running: now, next });
  }

  function notify(): void {
    onStatus?.(status());
  }

  /** Progress comes in thousands of small steps; one status a turn of the event loop is enough. */
  function notifySoon(): void {
    if (noticeDue) return;
    noticeDue = true;
    setImmediate(() => {
      noticeDue = false;
      if (!closed) notify();
    });
  }

  const loaded = load();
  const ended = loop();

  return {
    apply(settings, { active }) {
      const before = wanted;
      wanted = wantedFrom(settings, active);
      transfers.limit(settings.transfer);
      const change = changeBetween(before, wanted);
      if (change === 'parent') asked = 'InitialSync';
      if (change === 'credentials') asked = 'SyncTokenUpdate';
      if (change !== 'none') restart();
      notify();
      kick();
    },
    wake() {
      woken = true;
      countOutbox().then(
        () => {
          notify();
          kick();
        },
        (error: unknown) => log.warn('The outbox cannot be read.', { error }),
      );
    },
    resync() {
      const started = wanted?.parent !== undefined && wanted.active && running?.step.kind !== 'pass' && !closed;
      if (started) asked = 'ManualResync';
      kick();
      return Promise.resolve({ started });
    },
    async recover() {
      await loaded;
      memory = { ...memory, recovery: true };
      if (running?.step.kind === 'pass') asked ??= running.step.trigger;
      running?.stop.abort(new Error('lost content is to be fetched'));
      await saveMemory(store.records, memory);
      kick();
    },
    status,
    async close() {
      closed = true;
      running?.stop.abort(new Error('the sync engine is closing'));
      kick();
      await ended;
    },
  };
}
