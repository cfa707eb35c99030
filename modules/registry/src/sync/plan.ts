import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { isExact } from '../oci/pattern.ts';
import type { ImageSource } from '../oci/registry.ts';
import { ruleFor } from '../settings/repository-rules.ts';
import type { Mode, RepositoryRule } from '../settings/settings.ts';
import type { TagRecord } from '../store/descriptions.ts';

/**
 * `copy`: bring it here and point the tag at it · `unchanged`: here already, only its referrers may be new ·
 * `keep`: the local change wins · `conflict`: it wins over a change of the parent's, which has to be told.
 */
export type TagDecision = 'copy' | 'unchanged' | 'keep' | 'conflict';

/**
 * Three-way compare of a tag that the parent has. `base` is what both last agreed on; `pending`: a local change of
 * this tag waits in the outbox. A ReadOnly registry follows its parent in everything that is not waiting.
 */
export function decideTag(options: {
  readonly mode: Mode;
  readonly parent: Digest;
  readonly local: Pick<TagRecord, 'digest' | 'base'> | undefined;
  readonly pending: boolean;
}): TagDecision {
  const { mode, parent, local, pending } = options;
  if (pending) return !local || local.digest === parent || local.base === parent ? 'keep' : 'conflict';
  if (!local) return 'copy';
  if (local.digest === parent) return local.base === parent ? 'unchanged' : 'copy';
  if (mode === 'ReadOnly' || local.digest === local.base) return 'copy';
  return local.base === parent ? 'keep' : 'conflict';
}

/** A repository to sync and the rule that names it. */
export interface PlannedRepository {
  readonly repository: RepositoryName;
  readonly rule: RepositoryRule;
}

/**
 * What the rules ask for, in their order: exact names as they stand, patterns through the parent's catalog. When the
 * catalog fails, the matching repositories that are held already come instead, and at the end its error is thrown.
 */
export async function* planRepositories(options: {
  readonly rules: readonly RepositoryRule[];
  readonly parent: Pick<ImageSource, 'listRepositories'>;
  readonly store: Pick<ImageSource, 'listRepositories'>;
  readonly signal: AbortSignal;
}): AsyncGenerator<PlannedRepository> {
  const { rules, parent, store, signal } = options;
  const given = new Set<string>();
  let catalogError: Error | undefined;
  let matches: Map<RepositoryRule, Set<RepositoryName>> | undefined;

  async function listed(registry: Pick<ImageSource, 'listRepositories'>): Promise<NonNullable<typeof matches>> {
    const byRule = new Map(rules.map((rule) => [rule, new Set<RepositoryName>()]));
    for await (const repository of registry.listRepositories({ signal })) {
      const rule = ruleFor(rules, repository);
      if (rule) byRule.get(rule)?.add(repository);
    }
    return byRule;
  }

  async function matching(): Promise<NonNullable<typeof matches>> {
    try {
      return await listed(parent);
    } catch (error) {
      signal.throwIfAborted();
      catalogError = error as Error;
      return listed(store);
    }
  }

  for (const rule of rules) {
    if (!isExact(rule.name)) matches ??= await matching();
    const names = isExact(rule.name) ? [rule.name as string as RepositoryName] : (matches?.get(rule) ?? []);
    for (const repository of names) {
      if (given.has(repository)) continue;
      given.add(repository);
      yield { repository, rule };
    }
  }
  if (catalogError) throw catalogError;
}
