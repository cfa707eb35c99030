import { RegistryError } from '../errors.ts';
import type { PageStart } from '../store/descriptions.ts';
import type { Headers } from './answer.ts';
import { nextLink, pageRequestIn, takePage } from './page.ts';

/** A listing that can be had by name or by time. */
export interface Listing<Row> {
  readonly query: URLSearchParams;
  readonly path: string;
  /** In name order. */
  readonly rows: (start: PageStart) => AsyncIterable<Row>;
  readonly isWanted: (row: Row) => boolean;
  readonly nameOf: (row: Row) => string;
  readonly timeOf: (row: Row) => Date;
  /** Query parameters that every page repeats. */
  readonly filter?: Readonly<Record<string, string | undefined>>;
}

interface Place {
  readonly name: string;
  readonly timeMs: number;
}

/**
 * One page and the `Link` to the next, by name or as `orderby` says (ACR: `timedesc`, `timeasc`, by last update).
 * By time, all names of the repository are looked at, as no index keeps that order; the link then carries `lasttime`,
 * so that the place holds even when what was last has gone.
 * Throws PAGINATION_NUMBER_INVALID for a bad `n`, `orderby` or `lasttime`.
 */
export async function takeOrderedPage<Row>(listing: Listing<Row>): Promise<{ readonly rows: Row[]; link: Headers }> {
  const { query, path, nameOf, timeOf, isWanted, filter } = listing;
  const { limit, after } = pageRequestIn(query);
  const orderBy = query.get('orderby') ?? '';
  if (!['', 'none', 'timedesc', 'timeasc'].includes(orderBy)) throw invalid('orderby', orderBy);
  const byTime = orderBy.startsWith('time');
  const { rows, more } = byTime
    ? await takeByTime(listing, limit, after, orderBy === 'timedesc' ? -1 : 1)
    : await takePage(listing.rows(after === undefined ? {} : { after }), limit, isWanted);
  const last = rows.at(-1);
  if (!more || last === undefined) return { rows, link: {} };
  const order = byTime ? { orderby: orderBy, lasttime: timeOf(last).toISOString() } : {};
  return { rows, link: nextLink(path, { ...filter, n: limit, last: nameOf(last), ...order }) };
}

async function takeByTime<Row>(
  { query, rows, isWanted, nameOf, timeOf }: Listing<Row>,
  limit: number,
  after: string | undefined,
  direction: 1 | -1,
): Promise<{ rows: Row[]; more: boolean }> {
  const all: (Place & { readonly row: Row })[] = [];
  let place = after === undefined ? undefined : { name: after, timeMs: timeIn(query) };
  for await (const row of rows({})) {
    const [name, timeMs] = [nameOf(row), timeOf(row).getTime()];
    if (place && name === place.name && Number.isNaN(place.timeMs)) place = { name, timeMs };
    if (isWanted(row)) all.push({ name, timeMs, row });
  }
  const compare = (one: Place, other: Place): number =>
    (one.timeMs - other.timeMs) * direction || (one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
  const start = place;
  if (start && Number.isNaN(start.timeMs)) throw invalid('last', start.name);
  const rest = all.filter((one) => start === undefined || compare(one, start) > 0).sort(compare);
  return { rows: rest.slice(0, limit).map(({ row }) => row), more: limit > 0 && rest.length > limit };
}

/** NaN when it is not told: the row called `last` then tells it. */
function timeIn(query: URLSearchParams): number {
  const text = query.get('lasttime');
  if (text === null) return NaN;
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) throw invalid('lasttime', text);
  return timeMs;
}

function invalid(parameter: string, value: string): RegistryError {
  return new RegistryError('PAGINATION_NUMBER_INVALID', {
    message: `${parameter} has no meaning here`,
    detail: { [parameter]: value },
  });
}
