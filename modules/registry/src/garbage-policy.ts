import { runAfter, runUntil } from './settings/cron.ts';
import type { Settings } from './settings/settings.ts';
import type { CollectGarbage } from './store/store.ts';

const dayMs = 24 * 60 * 60 * 1000;
const abandonedAfterMs = 7 * dayMs;

/**
 * What may go, at `now`. A blob waits a day for its manifest, and as long as sync pauses between two runs: an image
 * may take more than one window. Only a ReadOnly registry drops untagged manifests, for there tags follow the parent;
 * not while a push made under another mode is on its way up, nor with `onDemand`, which fetches by digest, too.
 */
export function garbagePolicy(
  { mode, parent, onDemand }: Pick<Settings, 'mode' | 'parent' | 'onDemand'>,
  { now, outboxPending }: { readonly now: Date; readonly outboxPending: number },
): Pick<CollectGarbage, 'untagged' | 'blobsOlderThanMs' | 'uploadsOlderThanMs'> {
  const schedule = parent?.syncProperties.schedule;
  const pauseMs = schedule === undefined ? 0 : runAfter(schedule, now).getTime() - runUntil(schedule, now).getTime();
  const graceMs = pauseMs + dayMs;
  const keeps = mode === 'ReadWrite' || onDemand || outboxPending > 0;
  return {
    untagged: keeps ? 'keep' : { olderThanMs: graceMs },
    blobsOlderThanMs: graceMs,
    uploadsOlderThanMs: Math.max(abandonedAfterMs, graceMs),
  };
}

const catchUpAfterMs = 10 * 60 * 1000;

/** When to collect next, UTC. A run that fell into a time when this program was not running is made up for soon after its start. */
export function nextCollection(
  schedule: string,
  { started, last, now }: { readonly started: Date; readonly last: Date; readonly now: Date },
): Date {
  const missed = last < runUntil(schedule, started);
  return missed ? new Date(started.getTime() + catchUpAfterMs) : runAfter(schedule, now);
}
