import { nextRun, windowAt } from '../settings/schedule.ts';
import type { SyncProperties } from '../settings/settings.ts';
import type { SyncTrigger } from '../status/sync-status.ts';
import type { SyncMemory } from './sync-memory.ts';

export type Step =
  | { readonly kind: 'pass'; readonly trigger: SyncTrigger; readonly closes: Date | undefined }
  | { readonly kind: 'drain'; readonly closes: Date | undefined }
  /** Lets our name go at the parent: the operator wants this instance to be inactive. */
  | { readonly kind: 'release' }
  | { readonly kind: 'wait'; readonly until: Date };

/**
 * What the engine does at `now`. A pass that never succeeded, was cut by its window or was missed, and one that has to
 * bring lost content again, is due as soon as a window is open; an operator's resync does not wait for a window and is
 * not cut by one; nothing is tried before `retryAt`.
 */
export function nextStep(options: {
  readonly now: Date;
  readonly sync: SyncProperties;
  readonly memory: Pick<SyncMemory, 'state' | 'lastStart' | 'lastSuccess' | 'recovery'>;
  readonly asked: SyncTrigger | undefined;
  /** Something waits in the outbox. */
  readonly woken: boolean;
  readonly retryAt: Date | undefined;
}): Step {
  const { now, sync, memory, asked, woken, retryAt } = options;
  if (asked === 'ManualResync') return { kind: 'pass', trigger: asked, closes: undefined };
  const window = windowAt(sync, now);
  if (!window.open) return { kind: 'wait', until: window.opens };
  const { closes } = window;
  const trigger = memory.recovery ? 'RecoveryService' : memory.lastSuccess ? 'Scheduled' : 'InitialSync';
  if (asked && asked !== 'Scheduled') return { kind: 'pass', trigger: asked, closes };
  if (retryAt) {
    return retryAt <= now ? { kind: 'pass', trigger, closes } : { kind: 'wait', until: earlier(retryAt, closes) };
  }
  const due = asked ? now : dueAt(now, sync, memory);
  if (due <= now) return { kind: 'pass', trigger, closes };
  if (woken) return { kind: 'drain', closes };
  return { kind: 'wait', until: due };
}

/** What an inactive registry still has to do: tell its parent, as soon as that can be reached, windows or not. */
export function releaseStep(now: Date, retryAt: Date | undefined): Step {
  return retryAt && retryAt > now ? { kind: 'wait', until: retryAt } : { kind: 'release' };
}

/** A start that lies in the future comes from a clock that was wrong, and does not count. */
function dueAt(
  now: Date,
  sync: SyncProperties,
  { state, lastStart, recovery }: Pick<SyncMemory, 'state' | 'lastStart' | 'recovery'>,
): Date {
  return !recovery && state === 'Succeeded' && lastStart && lastStart <= now ? nextRun(sync, lastStart) : now;
}

/** The earlier of those that there are. */
export function earlier<First extends Date | undefined>(first: First, second: Date | undefined): First | Date {
  return !second || (first && first <= second) ? first : second;
}
