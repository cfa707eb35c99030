import { setMaxListeners } from 'node:events';
import { RegistryError } from '../errors.ts';
import { failureOf } from './failure.ts';
import { watchLink } from './link-watch.ts';
import type { Pass } from './pass.ts';
import type { Store } from '../store/store.ts';
import { createRemovals, type RemovalLimits } from './removals.ts';
import { syncPass, type PassFeed, type PassReach, type SyncPassOptions } from './sync-pass.ts';
import { waitUntil } from './wait-until.ts';

export interface PassEnd {
  /** `Pending`: stopped from outside, and still to be done. `TimedOut`: its window closed; the next one goes on. */
  readonly state: 'Succeeded' | 'Failed' | 'TimedOut' | 'Pending';
  /** The parent asked not to come back earlier; 0 when it did not. */
  readonly retryAfterMs: number;
  /** It ended because the parent does not answer. */
  readonly isParentSilent?: boolean;
  /** How far it got; absent where it was cut or ended early. */
  readonly reach?: PassReach;
}

export interface RunPassOptions {
  readonly parts: Omit<Pass, 'signal' | 'failed' | 'removals'> & { readonly store: Store };
  readonly removal: RemovalLimits;
  readonly drainOnly: boolean;
  /** The pass is cut here; a part of an upload that is on its way has a little longer. */
  readonly closes: Date | undefined;
  readonly stop: AbortSignal;
  readonly onParentAnswered: () => void;
  readonly activate?: SyncPassOptions['activate'];
  readonly feed: PassFeed;
}

class WindowClosed extends Error {}

/**
 * Beyond its window a pass has so long for the part of an upload that is on its way, and for nothing else: a registry
 * may give up the whole upload when a part is cut (docker-registry does).
 */
const partGraceMs = 30_000;

/** Runs one pass to its end, whatever that is: never rejects, and leaves nothing running. */
export async function runPass(options: RunPassOptions): Promise<PassEnd> {
  const { parts, removal, drainOnly, closes, stop, onParentAnswered, activate, feed } = options;
  const { parent, clock, details, log } = parts;
  const ending = new AbortController();
  /** Comes later than `ending` where a window closes, else with it. */
  const cutting = new AbortController();
  const signal = AbortSignal.any([stop, ending.signal]);
  const partSignal = AbortSignal.any([stop, cutting.signal]);
  // Every request of the pass listens to it; there is no fixed number of them.
  setMaxListeners(0, signal, partSignal);
  const watching = new AbortController();
  const watch = closes && closeAt(closes);
  const removals = createRemovals({ ...parts, ...removal });
  const link = watchLink({
    ...{ parent, clock, signal },
    movedBytes: () => parts.progress.bytesDone,
    onSilent: (reason) => endNow(reason),
  });
  const transfers: Pass['transfers'] = {
    ...parts.transfers,
    carry: (transfer, how) => parts.transfers.carry({ ...transfer, partSignal, onStopped: () => link.doubt() }, how),
  };
  let failures = 0;
  let retryAfterMs = 0;
  let isParentSilent = false;

  async function closeAt(date: Date): Promise<void> {
    try {
      await waitUntil(clock, date, watching.signal);
      ending.abort(new WindowClosed('the sync window closed'));
      await clock.wait(partGraceMs, watching.signal);
      cutting.abort(ending.signal.reason);
    } catch {
      // The pass ended first.
    }
  }

  function endNow(reason: unknown): void {
    ending.abort(reason);
    cutting.abort(reason);
  }

  async function failed(error: unknown, repository?: string): Promise<void> {
    failures += 1;
    const failure = failureOf(error);
    retryAfterMs = Math.max(retryAfterMs, failure.retryAfterMs);
    const goesOn = failure.reach === 'repository' || (failure.reach === 'ask' && !(await link.silence()));
    signal.throwIfAborted();
    if (!goesOn) {
      endNow(error);
      throw error;
    }
    if (repository === undefined) {
      details.report('PARENT_CATALOG_FAILED', 'catalog', `patterns cannot be resolved: ${failure.message}`);
      return;
    }
    log.warn('A repository could not be synced completely.', { repository, error: failure.message });
    details.report(repositoryCode(error), repository, `${repository}: ${failure.message}`);
  }

  function endedBy(error: unknown): PassEnd['state'] {
    if (stop.aborted) return 'Pending';
    const reason: unknown = ending.signal.aborted ? ending.signal.reason : error;
    if (reason instanceof WindowClosed) return 'TimedOut';
    const failure = failureOf(reason);
    const code = failure.code === 'REPOSITORY_FAILED' ? 'SYNC_FAILED' : failure.code;
    retryAfterMs = Math.max(retryAfterMs, failure.retryAfterMs);
    isParentSilent = code === 'PARENT_UNREACHABLE';
    details.clearLink(code);
    details.report(code, '', failure.message);
    log.warn('A sync pass ended early.', { code, error: failure.message });
    return 'Failed';
  }

  let state: PassEnd['state'];
  let reach: PassReach | undefined;
  try {
    const passOptions = { drainOnly, onParentAnswered, feed, ...(activate && { activate }) };
    reach = await syncPass({ ...parts, transfers, signal, failed, removals }, passOptions);
    state = failures > 0 ? 'Failed' : 'Succeeded';
    if (state === 'Succeeded' && !drainOnly) await parent.dropUploads({ signal });
  } catch (error) {
    state = endedBy(error);
  }
  try {
    // What a pass that ended early had found to be gone may make the room that it lacked.
    if (!stop.aborted) await removals.carryOut();
  } catch (error) {
    state = endedBy(error);
  }
  watching.abort();
  await watch;
  await link.close();
  details.endPass({ eventTtlMs: parts.messageTtlMs, saw: reach?.saw ?? 'nothing' });
  return { state, retryAfterMs, isParentSilent, ...(reach && { reach }) };
}

/** One repository's trouble while the parent as a whole answers. */
function repositoryCode(error: unknown): 'PARENT_BROKEN' | 'PARENT_DENIED' | 'PARENT_REFUSED' | 'REPOSITORY_FAILED' {
  if (error instanceof RegistryError && error.code === 'DIGEST_INVALID') return 'PARENT_BROKEN';
  const { code } = failureOf(error);
  return code === 'PARENT_DENIED' || code === 'PARENT_REFUSED' ? code : 'REPOSITORY_FAILED';
}
