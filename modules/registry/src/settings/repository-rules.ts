import { satisfies } from 'semver';
import type { RepositoryName, Tag } from '../oci/names.ts';
import { isExact, matchesGlob, matchesPattern } from '../oci/pattern.ts';
import type { RepositoryRule } from './settings.ts';

/** The rule that governs `repository`: its exact name wins over patterns, among patterns the first. */
export function ruleFor(rules: readonly RepositoryRule[], repository: RepositoryName): RepositoryRule | undefined {
  const matching = rules.filter((rule) => matchesPattern(rule.name, repository));
  return matching.find((rule) => isExact(rule.name)) ?? matching[0];
}

/**
 * Whether `rule` takes `tag`: it matches an including glob, or there is none, and no excluding one (`!…`), and it is a
 * version within the range, where there is one. A prerelease is within a range only that names one of the same version.
 */
export function wantsTag(rule: RepositoryRule, tag: Tag): boolean {
  if (rule.semver !== undefined && !satisfies(tag, rule.semver)) return false;
  const excluding = rule.tags.filter((glob) => glob.startsWith('!'));
  const including = rule.tags.filter((glob) => !glob.startsWith('!'));
  if (excluding.some((glob) => matchesGlob(glob.slice(1), tag))) return false;
  return including.length === 0 || including.some((glob) => matchesGlob(glob, tag));
}

/** A tag in which `*` stands for any run of characters. */
export function isTagGlob(text: string): boolean {
  return /^[a-zA-Z0-9_*][a-zA-Z0-9._*-]{0,127}$/.test(text);
}
