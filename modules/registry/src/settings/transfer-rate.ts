import type { TransferBudget, TransferSettings, Weekday } from './settings.ts';

/** The rate that holds at a moment. */
export interface TransferRate {
  /** 0: no limit. */
  readonly bytesPerSecond: number;
  /** When another one may hold; undefined: never. */
  readonly until: Date | undefined;
}

/** As `Date.getUTCDay` counts. */
export const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const satisfies readonly Weekday[];

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/**
 * The first budget whose time it is, else `bytesPerSecond`. A budget holds from its `from` to just before its `to`,
 * over midnight where `to` is the earlier one; it belongs to the day on which it begins. All in UTC.
 */
export function rateAt({ bytesPerSecond, budgets }: TransferSettings, now: Date): TransferRate {
  const midnightMs = Math.floor(now.getTime() / dayMs) * dayMs;
  const current = budgets.find((budget) => holds(budget, now.getTime(), midnightMs));
  const edges = budgets.flatMap(({ from, to }) => [from, to]).map((time) => nextMs(time, now.getTime(), midnightMs));
  return {
    bytesPerSecond: (current ?? { bytesPerSecond }).bytesPerSecond,
    until: edges.length === 0 ? undefined : new Date(Math.min(...edges)),
  };
}

/** Whether the one that began today, or the one that began yesterday, has not ended. */
function holds({ from, to, days }: TransferBudget, nowMs: number, midnightMs: number): boolean {
  const lengthMs = (timeOfDayMs(to) - timeOfDayMs(from) + dayMs) % dayMs;
  return [midnightMs, midnightMs - dayMs].some((dayBeginsMs) => {
    const beginsMs = dayBeginsMs + timeOfDayMs(from);
    return nowMs >= beginsMs && nowMs < beginsMs + lengthMs && isOn(days, dayBeginsMs);
  });
}

function isOn(days: readonly Weekday[], dayBeginsMs: number): boolean {
  const day = weekdays[new Date(dayBeginsMs).getUTCDay()];
  return days.length === 0 || (day !== undefined && days.includes(day));
}

function nextMs(time: string, nowMs: number, midnightMs: number): number {
  const todayMs = midnightMs + timeOfDayMs(time);
  return todayMs > nowMs ? todayMs : todayMs + dayMs;
}

function timeOfDayMs(time: string): number {
  const [hour = 0, minute = 0] = time.split(':').map(Number);
  return (hour * 60 + minute) * minuteMs;
}
