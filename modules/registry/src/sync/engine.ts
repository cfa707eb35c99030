import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { ParentRegistry } from '../parent/parent.ts';
import { nextRun, windowAt } from '../settings/schedule.ts';
import type { SyncStatus, SyncTrigger } from '../status/sync-status.ts';
import { createAheadProgress } from './ahead-progress.ts';
import { hintsOf } from './arriving-hint.ts';
import { readAlong } from './arriving-blob.ts';
import { createBlobTransfers } from './blob-transfers.ts';
import { createDetails } from './details.ts';
import { statusOf } from './engine-status.ts';
import { failureOf } from './failure.ts';
import { createCursorKeeper } from './feed-cursor.ts';
import { createFetchAhead } from './fetch-ahead.ts';
import { createNap } from './nap.ts';
import { earlier, nextStep, releaseStep, type Step } from './next-step.ts';
import { createParentActivation } from './parent-activation.ts';
import { createParentLink } from './parent-link.ts';
import { createPreviews } from './previews.ts';
import type { PassProgress } from './progress.ts';
import { createRemovalGuard } from './removal-guard.ts';
import { createRetry } from './retry.ts';
import { createStepRunner } from './step-runner.ts';
import type { SyncEngine, SyncEngineOptions } from './sync-engine.ts';
import { createSyncLedger } from './sync-ledger.ts';
import { changeBetween, wantedFrom, type Wanted } from './wanted.ts';

/** Between two statuses that tell of mere progress. */
const noticeMs = 100;

/** One loop decides (`nextStep`), runs (`StepRunner`) or sleeps; everything else only leaves notes for it and kicks it. */
export function createSyncEngine(options: SyncEngineOptions): SyncEngine {
  const { store, connect, clock, log, onStatus, onRecovered, onArriving, describe, random = Math.random } = options;
  const tellArriving = onArriving && hintsOf(store.replica, onArriving);
  const transfers = createBlobTransfers({ clock, log, random, onArriving: tellArriving });
  const coming = createAheadProgress({ clock, onChange: notifySoon, pass: passAtWork });
  const ahead = createFetchAhead({ store, transfers, progress: coming, clock, log, onSilent: giveUpAhead });
  const details = createDetails({ clock });
  const ledger = createSyncLedger({ store, clock });
  const activation = createParentActivation({ records: store.records });
  const link = createParentLink({
    ...{ connect, clock, log, random, describe },
    ...{ onChange: askForPass, onArriving: fetchAhead, onRefused: askAgain },
  });
  const cursors = createCursorKeeper({ records: store.records, clock });
  const guard = createRemovalGuard({ records: store.records, clock });
  const retry = createRetry({ clock, random });
  const parts = { store, link, ledger, activation, cursors, guard, transfers, details, retry, clock, log };
  const previews = createPreviews({ store, guard, clock, log });
  const runner = createStepRunner({
    ...parts,
    onStatus: notify,
    onProgress: notifySoon,
    onCounting: (pass) => coming.handOver(pass),
    onRecovered,
  });
  const nap = createNap({ clock });
  let wanted: Wanted | undefined;
  let asked: SyncTrigger | undefined;
  let confirmsRemoval = false;
  let woken = true;
  let next: Date | undefined;
  let closed = false;
  /** A status that is due in a moment. */
  let soon: AbortController | undefined;

  async function load(): Promise<void> {
    try {
      await ledger.load();
      await activation.load();
      await cursors.load();
      await guard.load();
    } catch (error) {
      log.error('What was known of earlier syncs cannot be read.', { error });
    }
  }

  async function loop(): Promise<void> {
    await loaded;
    while (await goesOn()) {
      const step = chooseStep();
      next = step?.kind === 'wait' ? step.until : scheduledNext();
      if (wanted && step && step.kind !== 'wait') await run(step, wanted);
      else await nap.until(earlier(listen(), step?.kind === 'wait' ? step.until : undefined), notify);
    }
    await link.close();
  }

  /** What is pushed without a parent is in no outbox: the next pass with one compares everything. */
  async function detach(): Promise<void> {
    try {
      await ledger.detach();
      await cursors.forget();
    } catch (error) {
      log.error('That there is no parent could not be written down.', { error });
    }
  }

  /** Looks after the last wait: nothing wakes a loop that goes to sleep when it is closed already. */
  async function goesOn(): Promise<boolean> {
    if (await link.dropOld(wanted)) {
      details.clear();
      activation.doubt();
    }
    if (wanted && !wanted.parent) await detach();
    return !closed;
  }

  function chooseStep(): Step | undefined {
    if (!wanted?.parent) return undefined;
    if (!wanted.active) {
      const { settings, parent } = wanted;
      const released = settings.activation.status === 'Active' || !activation.isHeldAt(parent.gatewayEndpoint);
      return released ? undefined : releaseStep(clock.now(), retry.at);
    }
    const changed = ledger.memory.wanted !== wanted.syncKey;
    // A parent of ours is listened to as soon as we are active at it again, not only at the next run.
    const returns = activation.isHeldAt(wanted.parent.gatewayEndpoint) && activation.isNeeded(wanted);
    const wants = !retry.at && (changed || returns) ? 'Scheduled' : undefined;
    return nextStep({
      now: clock.now(),
      sync: wanted.parent.syncProperties,
      memory: ledger.memory,
      asked: asked ?? wants,
      woken: woken && ledger.outbox.pending > 0,
      retryAt: retry.at,
    });
  }

  /** Between passes, from where they got to: listens at a parent of our kind while the link may be used; until when. */
  function listen(): Date | undefined {
    const to = wanted?.active === true && activation.isThere ? wanted.parent : undefined;
    const window = to && windowAt(to.syncProperties, clock.now());
    const isOpen = window?.open === true;
    if (!isOpen) ahead.stop(new Error('nothing may be fetched now'));
    link.tendFeed(wanted && to && isOpen ? { parent: to, since: cursors.usableFor(wanted) } : undefined);
    return isOpen ? window.closes : undefined;
  }

  function scheduledNext(): Date | undefined {
    return wanted?.parent && wanted.active ? nextRun(wanted.parent.syncProperties, clock.now()) : undefined;
  }

  async function run(step: Exclude<Step, { kind: 'wait' }>, what: Wanted): Promise<void> {
    woken = false;
    // A confirmation holds for the pass that it asks for, and no other.
    const confirmed = step.kind === 'pass' && step.trigger === 'ManualResync' && confirmsRemoval;
    if (step.kind === 'pass') {
      asked = undefined;
      confirmsRemoval = false;
    }
    const end = await runner.run(step, what, { confirmsRemoval: confirmed });
    if (end.state !== 'Succeeded') woken = true;
    notify();
  }

  /** As for a pass: inside the window, by the rules, and not before the parent may be tried again. */
  function fetchAhead(blobs: readonly ArrivingBlob[]): void {
    const sync = wanted?.parent?.syncProperties;
    const parent = sync && !retry.at && windowAt(sync, clock.now()).open ? parentNow() : undefined;
    if (wanted && parent) ahead.take(blobs, { parent, rules: wanted.settings.repositories });
  }

  /** The pass that is asked for finds out how it is then. */
  function giveUpAhead(reason: Error): void {
    ahead.stop(reason);
    const { code, message } = failureOf(reason);
    details.report(code, '', message);
    askForPass();
  }

  /** Undefined: none has an answer of the parent. */
  function passAtWork(): PassProgress | undefined {
    return runner.running?.parentAnswered === true ? runner.progress : undefined;
  }

  /** Undefined while nobody may ask it. */
  function parentNow(): ParentRegistry | undefined {
    const to = wanted?.active === true && !closed ? wanted.parent : undefined;
    return to && link.openFor(to);
  }

  function askForPass(): void {
    asked ??= 'Scheduled';
    nap.kick();
  }

  function askAgain(): void {
    activation.doubt();
    askForPass();
  }

  /** A stopped pass is asked for again, so that what an operator started is not lost. */
  function restart(reason: string): void {
    if (runner.running?.step.kind === 'pass') asked ??= runner.running.step.trigger;
    runner.stop(new Error(reason));
    ahead.stop(new Error(reason));
    retry.reset();
  }

  function status(): SyncStatus {
    const { running, progress } = runner;
    const now = running && { kind: running.step.kind, parentAnswered: running.parentAnswered };
    const { memory, outbox } = ledger;
    return statusOf({
      wanted,
      memory,
      progress,
      ahead: coming,
      details,
      outbox,
      contacted: link.contacted,
      running: now,
      next,
    });
  }

  function notify(): void {
    soon?.abort();
    soon = undefined;
    onStatus?.(status());
  }

  /** A status costs as much as a small image; whoever looks on sees no difference. */
  function notifySoon(): void {
    if (soon || closed) return;
    soon = new AbortController();
    clock.wait(noticeMs, soon.signal).then(notify, () => undefined);
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
      // Nobody listened meanwhile.
      if (before?.active === false && active) asked ??= 'Scheduled';
      if (change !== 'none') restart('the settings changed');
      notify();
      nap.kick();
    },
    wake() {
      woken = true;
      ledger.countOutbox().then(
        () => {
          notify();
          nap.kick();
        },
        (error: unknown) => log.warn('The outbox cannot be read.', { error }),
      );
    },
    resync({ confirmRemoval = false } = {}) {
      const started = wanted?.parent !== undefined && wanted.active && runner.running?.step.kind !== 'pass' && !closed;
      if (started) {
        asked = 'ManualResync';
        confirmsRemoval = confirmRemoval;
      }
      nap.kick();
      return Promise.resolve({ started });
    },
    async preview({ timeoutMs }) {
      const parent = parentNow();
      return wanted && parent && previews.run({ parent, settings: wanted.settings, timeoutMs });
    },
    async recover() {
      await loaded;
      await ledger.askRecovery();
      restart('something was lost');
      nap.kick();
    },
    status,
    openArriving(repository, digest) {
      const fetch = transfers.findArriving(store.replica, repository, digest);
      return fetch && readAlong(fetch, { openStored: () => store.openBlob(repository, digest) });
    },
    link() {
      const parent = parentNow();
      return parent && { parent, transfers };
    },
    async close() {
      closed = true;
      soon?.abort();
      runner.stop(new Error('the sync engine is closing'));
      nap.kick();
      await Promise.all([previews.close(), ahead.close()]);
      await ended;
    },
  };
}
