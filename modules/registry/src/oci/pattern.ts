import { parseRepositoryName, type RepositoryName } from './names.ts';

declare const patternBrand: unique symbol;
/** A repository name, or a pattern: `*` stands for any run of characters, slashes included (`plant/*`, `*`). */
export type RepositoryPattern = string & { readonly [patternBrand]: true };

export function parseRepositoryPattern(text: string): RepositoryPattern | undefined {
  if (!text.includes('*')) return parseRepositoryName(text) && (text as RepositoryPattern);
  const sample = text.replaceAll(/\*+/g, 'a');
  return parseRepositoryName(sample) ? (text as RepositoryPattern) : undefined;
}

export function isExact(pattern: RepositoryPattern): boolean {
  return !pattern.includes('*');
}

export function matchesPattern(pattern: RepositoryPattern, repository: RepositoryName): boolean {
  return matchesGlob(pattern, repository);
}

/** Whether every name `inner` can match is matched by `outer`; used to keep a child within its parent. */
export function coversPattern(outer: RepositoryPattern, inner: RepositoryPattern): boolean {
  return outer === inner || matchesGlob(outer, inner);
}

/** `*` matches any run of characters; everything else stands for itself. Linear time, no backtracking blow-up. */
export function matchesGlob(glob: string, text: string): boolean {
  const [first = '', ...rest] = glob.split('*');
  if (rest.length === 0) return glob === text;
  if (!text.startsWith(first)) return false;
  const last = rest.pop() ?? '';
  let position = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return text.length - last.length >= position && text.endsWith(last);
}
