import { RegistryError } from '../errors.ts';
import type { Headers } from './answer.ts';

/** No answer lists more than this; the rest follows under `Link`. */
export const pageLimit = 1000;

/** `n` and `last` of a listing (distribution-spec, "Listing Tags"): so many rows, after this name. */
export interface PageRequest {
  readonly limit: number;
  readonly after: string | undefined;
}

/** Throws PAGINATION_NUMBER_INVALID. */
export function pageRequestIn(query: URLSearchParams): PageRequest {
  const text = query.get('n');
  if (text !== null && !/^\d{1,15}$/.test(text)) {
    throw new RegistryError('PAGINATION_NUMBER_INVALID', { detail: { n: text } });
  }
  return {
    limit: text === null ? pageLimit : Math.min(Number(text), pageLimit),
    after: query.get('last') ?? undefined,
  };
}

/** The first `limit` rows, and whether there are more. Reads one row beyond, never the whole listing. */
export async function takePage<T>(
  rows: AsyncIterable<T>,
  limit: number,
  isWanted: (row: T) => boolean = () => true,
): Promise<{ readonly rows: T[]; readonly more: boolean }> {
  const page: T[] = [];
  if (limit === 0) return { rows: page, more: false };
  for await (const row of rows) {
    if (!isWanted(row)) continue;
    if (page.length === limit) return { rows: page, more: true };
    page.push(row);
  }
  return { rows: page, more: false };
}

/** `Link` to what follows (RFC 8288); relative, as it has to hold on both sides of a proxy. */
export function nextLink(path: string, query: Readonly<Record<string, string | number | undefined>>): Headers {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) parameters.set(key, String(value));
  return { Link: `<${path}?${parameters.toString()}>; rel="next"` };
}
