import { parseEnv } from 'node:util';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Variables } from '../../modules/registry/src/settings/variables.ts';

export type ReadVariables =
  | { readonly ok: true; readonly variables: Variables }
  /** Paths are line numbers, `3`. */
  | { readonly ok: false; readonly problems: readonly Problem[] };

const assignment = /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*(.*?)\s*$/;

/**
 * Reads a `.env` file: `NAME=value` a line, `#` comments, quotes where a value holds `#`. What the parser would drop or
 * cut without a word is a problem. No `$NAME` is replaced, so hashes and `$upstream` stay whole.
 */
export function readVariables(text: string): ReadVariables {
  const problems = text.split('\n').flatMap((line, index) => {
    const message = lineProblem(line);
    return message === undefined ? [] : [{ path: String(index + 1), message }];
  });
  return problems.length > 0 ? { ok: false, problems } : { ok: true, variables: parseEnv(text) };
}

function lineProblem(line: string): string | undefined {
  if (/^\s*(?:#|$)/.test(line)) return undefined;
  const [, value] = assignment.exec(line) ?? [];
  if (value === undefined) return 'must be NAME=value or a # comment';
  const [quote = ''] = value;
  if (/["'`]/.test(quote)) {
    const closed = new RegExp(`^${quote}[^${quote}]*${quote}\\s*(?:#.*)?$`).test(value);
    return closed ? undefined : 'must end its quotes on the same line';
  }
  return /\S#/.test(value) ? 'must have its value in quotes, since it holds a #' : undefined;
}
