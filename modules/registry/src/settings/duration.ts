import { Duration, Settings } from 'luxon';

// Nothing here is written in words, and to ask for the system's locale loads ICU's data.
Settings.defaultLocale = 'en-US';

/**
 * An ISO 8601 duration in milliseconds. Weeks, days, hours, minutes and seconds only:
 * a year or a month has no fixed length.
 */
export function parseDurationMs(text: string): number | undefined {
  const duration = Duration.fromISO(text);
  if (!duration.isValid || !/\d/.test(text) || duration.years || duration.quarters || duration.months) return undefined;
  return duration.toMillis();
}
