import { randomUUID } from 'node:crypto';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import type { ParentRegistry } from '../parent/parent.ts';
import type { Store } from '../store/store.ts';
import type { BlobTransfers } from './blob-transfers.ts';
import type { Details } from './details.ts';
import type { CursorKeeper } from './feed-cursor.ts';
import { failureOf } from './failure.ts';
import type { Step } from './next-step.ts';
import type { ParentActivation } from './parent-activation.ts';
import type { ParentLink } from './parent-link.ts';
import { createPassProgress, type PassProgress } from './progress.ts';
import type { RemovalGuard } from './removal-guard.ts';
import type { Retry } from './retry.ts';
import { runPass, type PassEnd } from './run-pass.ts';
import type { SyncLedger } from './sync-ledger.ts';
import type { Wanted } from './wanted.ts';

export type Work = Exclude<Step, { kind: 'wait' }>;

export interface StepRunnerOptions {
  readonly store: Store;
  readonly link: ParentLink;
  readonly ledger: SyncLedger;
  readonly activation: ParentActivation;
  readonly cursors: CursorKeeper;
  readonly guard: RemovalGuard;
  readonly transfers: BlobTransfers;
  readonly details: Details;
  readonly retry: Retry;
  readonly clock: Clock;
  readonly log: Log;
  readonly onStatus: () => void;
  /** Progress comes in thousands of small steps. */
  readonly onProgress: () => void;
  /** The parent has answered, and this counts what is done from here on. */
  readonly onCounting: (progress: PassProgress) => void;
  readonly onRecovered: (() => void) | undefined;
}

/** Runs one step at a time and writes down how it went. */
export interface StepRunner {
  readonly running: { readonly step: Work; readonly parentAnswered: boolean } | undefined;
  /** Of the last pass that the parent answered, or the current one. */
  readonly progress: PassProgress;
  /** Never rejects. */
  run(step: Work, wanted: Wanted, options?: { readonly confirmsRemoval?: boolean }): Promise<PassEnd>;
  stop(reason: Error): void;
}

/** Signatures that come late, at a parent that tells of no changes, are here within six hours. */
const thoroughEveryMs = 6 * 3_600_000;

/** A time that lies ahead comes from a clock that was wrong, and does not count. */
function isThoroughDue(last: Date | undefined, now: Date): boolean {
  const ageMs = now.getTime() - (last?.getTime() ?? Number.NEGATIVE_INFINITY);
  return ageMs < 0 || ageMs >= thoroughEveryMs;
}

export function createStepRunner(options: StepRunnerOptions): StepRunner {
  const { store, link, ledger, activation, cursors, guard, transfers, details, retry, clock, log } = options;
  const { onStatus, onProgress, onCounting, onRecovered } = options;
  let progress = createPassProgress({ onChange: onProgress });
  let running:
    { readonly step: Work; readonly stop: AbortController; parentAnswered: boolean; wasThorough: boolean } | undefined;
  let stateBefore: SyncStatus['state'] | undefined;

  async function runStep(
    work: NonNullable<typeof running>,
    wanted: Wanted,
    confirmsRemoval: boolean,
  ): Promise<PassEnd> {
    const { step, stop } = work;
    const { settings, parent: to, syncKey } = wanted;
    if (!to) return { state: 'Pending', retryAfterMs: 0 };
    const parent = link.open(to);
    if (step.kind === 'release') return release(parent, stop.signal);
    // Only a pass by schedule or feed trusts what earlier ones have seen.
    const isFollowing = step.kind === 'pass' && step.trigger === 'Scheduled';
    const since = isFollowing ? cursors.usableFor(wanted) : undefined;
    details.beginPass(randomUUID());
    let ofPass = progress;
    if (step.kind === 'pass') {
      ofPass = createPassProgress({ onChange: onProgress, rows: since ? progress.repositories : [] });
      if (!since) await cursors.forget();
      await ledger.begin(step.trigger, syncKey);
    }
    ofPass.begin(clock.now());
    onStatus();
    const thorough = ledger.memory.trigger !== 'Scheduled' || isThoroughDue(ledger.memory.lastThorough, clock.now());
    const end = await runPass({
      parts: {
        store,
        parent,
        mode: settings.mode,
        rules: settings.repositories,
        messageTtlMs: to.syncProperties.messageTtlMs,
        concurrency: settings.transfer.concurrency,
        thorough,
        clock,
        log,
        transfers,
        details,
        progress: ofPass,
      },
      removal: {
        guard,
        limits: settings.removal,
        confirmed: confirmsRemoval,
      },
      drainOnly: step.kind === 'drain',
      closes: step.closes,
      stop: stop.signal,
      ...(activation.isNeeded(wanted) && {
        activate: (signal: AbortSignal) => activation.activate(parent, wanted, signal),
      }),
      onParentAnswered: () => {
        work.parentAnswered = true;
        // Until then what a cut pass had reached stands: it is where this one will go on.
        progress = ofPass;
        onCounting(progress);
        link.noteAnswer();
        onStatus();
      },
      feed: {
        isThere: () => activation.isThere,
        since,
        onExpired: () => ledger.begin('RecoveryService', syncKey),
      },
    });
    ofPass.rest();
    const { cursor, saw } = end.reach ?? {};
    if (end.state === 'Succeeded' && cursor) await cursors.save(wanted, cursor, { compared: saw === 'everything' });
    work.wasThorough = saw === 'everything' && (thorough || activation.isThere);
    return end;
  }

  async function release(parent: ParentRegistry, signal: AbortSignal): Promise<PassEnd> {
    try {
      await activation.release(parent, signal);
      log.info('The parent was told that this instance is inactive.', { parent: parent.endpoint });
      return { state: 'Succeeded', retryAfterMs: 0 };
    } catch (error) {
      log.debug('The parent could not be told that this instance is inactive.', { error });
      return { state: 'Failed', retryAfterMs: failureOf(error).retryAfterMs };
    }
  }

  async function writeDown({ step: { kind }, wasThorough }: NonNullable<typeof running>, { state }: PassEnd) {
    try {
      await ledger.countOutbox();
      if (kind !== 'pass') return;
      const recovered = await ledger.end(state, { thorough: wasThorough });
      const { blobsDone, bytesDone } = progress;
      const news = state !== stateBefore || blobsDone > 0;
      const { trigger } = ledger.memory;
      log[news ? 'info' : 'debug']('A sync pass ended.', { trigger, state, blobsDone, bytesDone });
      stateBefore = state;
      if (recovered) onRecovered?.();
    } catch (error) {
      log.error('The result of a sync pass could not be written down.', { error });
    }
  }

  return {
    get running() {
      return running;
    },
    get progress() {
      return progress;
    },
    async run(step, wanted, { confirmsRemoval = false } = {}) {
      const work = { step, stop: new AbortController(), parentAnswered: false, wasThorough: false };
      running = work;
      let end: PassEnd;
      try {
        end = await runStep(work, wanted, confirmsRemoval);
      } catch (error) {
        log.error('A sync pass could not be run.', { error });
        details.report('SYNC_FAILED', '', error instanceof Error ? error.message : String(error));
        end = { state: 'Failed', retryAfterMs: 0 };
      }
      // First, so that settings that come while it is written down still end the pause.
      retry.note(end);
      if (end.state === 'Failed') activation.doubt();
      await writeDown(work, end);
      running = undefined;
      return end;
    },
    stop: (reason) => running?.stop.abort(reason),
  };
}
