import { DateTime } from 'luxon';

/** An RFC 3339 instant, `2027-01-01T00:00:00Z`; without a zone it would mean something else on every device. */
export function parseTimestamp(text: string): Date | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  const instant = DateTime.fromISO(text);
  return instant.isValid ? instant.toJSDate() : undefined;
}
