import { CronExpressionParser } from 'cron-parser';

const minuteMs = 60_000;

/**
 * Whether `text` is a cron expression of five fields that comes round at all. Numbers, names of three letters and
 * `* , - /` only: of the extensions some crons know, `H` even means a random minute.
 */
export function isCron(text: string): boolean {
  if (text.trim().split(/\s+/).length !== 5 || !/^[\s0-9A-Za-z*,/-]+$/.test(text)) return false;
  if (text.match(/[A-Za-z]+/g)?.some((word) => word.length !== 3)) return false;
  try {
    runAfter(text, new Date(0));
    return true;
  } catch {
    return false;
  }
}

/** The first run later than `date`, UTC. */
export function runAfter(schedule: string, date: Date): Date {
  return startAt(schedule, Math.floor(date.getTime() / minuteMs))
    .next()
    .toDate();
}

/** The last run at or before `date`, UTC. */
export function runUntil(schedule: string, date: Date): Date {
  return startAt(schedule, Math.floor(date.getTime() / minuteMs) + 1)
    .prev()
    .toDate();
}

/** Runs fall on whole minutes, so searching from a whole minute keeps seconds out of the question. */
function startAt(schedule: string, minute: number): ReturnType<typeof CronExpressionParser.parse> {
  return CronExpressionParser.parse(schedule.trim(), { currentDate: new Date(minute * minuteMs), tz: 'UTC' });
}
