import { runAfter, runUntil } from './cron.ts';
import type { SyncProperties } from './settings.ts';

export const continuousSchedule = '* * * * *';

/** Continuous sync has no windows: the registry stays connected to its parent. */
export function isContinuous(schedule: string): boolean {
  return schedule.trim().replaceAll(/\s+/g, ' ') === continuousSchedule;
}

export type SyncWindow =
  | {
      readonly open: true;
      readonly opened: Date;
      /** Undefined: it never closes. */
      readonly closes: Date | undefined;
    }
  | { readonly open: false; readonly opens: Date };

/**
 * The sync window at `at`. Each run opens one for `syncWindowMs`: open at the run itself, shut exactly at its end.
 * Windows that touch or overlap are one. Where none ever closes, `opened` is the latest run. All in UTC.
 */
export function windowAt(sync: SyncProperties, at: Date): SyncWindow {
  const { schedule, syncWindowMs } = sync;
  const latest = runUntil(schedule, at);
  if (isContinuous(schedule) || syncWindowMs === undefined) return { open: true, opened: latest, closes: undefined };
  if (at.getTime() >= latest.getTime() + syncWindowMs) return { open: false, opens: runAfter(schedule, at) };
  const last = lastOfWindow(schedule, syncWindowMs, latest);
  if (!last) return { open: true, opened: latest, closes: undefined };
  return {
    open: true,
    opened: firstOfWindow(schedule, syncWindowMs, latest),
    closes: new Date(last.getTime() + syncWindowMs),
  };
}

/** The first scheduled run later than `after`. */
export function nextRun(sync: SyncProperties, after: Date): Date {
  return runAfter(sync.schedule, after);
}

/** The last run whose window is one with that of `run`; undefined when they go on for ever. */
function lastOfWindow(schedule: string, windowMs: number, run: Date): Date | undefined {
  const forEver = run.getTime() + repetitionMs(schedule);
  for (let last = run; last.getTime() < forEver;) {
    const next = runUntil(schedule, new Date(last.getTime() + windowMs));
    if (next.getTime() === last.getTime()) return last;
    last = next;
  }
  return undefined;
}

function firstOfWindow(schedule: string, windowMs: number, run: Date): Date {
  for (let first = run; ;) {
    const earlier = runAfter(schedule, new Date(first.getTime() - windowMs - 1));
    if (earlier.getTime() === first.getTime()) return first;
    first = earlier;
  }
}

/** After this long the runs repeat, so a window that lasts longer never closes; by months, more than a year counts so. */
function repetitionMs(schedule: string): number {
  const [, , dayOfMonth, month, dayOfWeek] = schedule.trim().split(/\s+/);
  const dayMs = 24 * 60 * 60 * 1000;
  if (dayOfMonth !== '*' || month !== '*') return 366 * dayMs;
  return dayOfWeek === '*' ? dayMs : 7 * dayMs;
}
