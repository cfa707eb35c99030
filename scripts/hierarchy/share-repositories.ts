import { coversPattern, parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import {
  childrenOf,
  repositoryNameOf,
  topDown,
  type Hierarchy,
  type Layer,
  type Repository,
  type RepositoryRule,
} from './hierarchy.ts';

/** What each layer keeps, and what each of its children may have of it. */
export interface Shares {
  /** By layer: its own repositories, and those added for the layers below it. */
  readonly kept: ReadonlyMap<string, readonly Repository[]>;
  /** By layer: the names its parent must allow it, those its device pulls included. */
  readonly wanted: ReadonlyMap<string, readonly string[]>;
  /** Repositories added to layers that include their descendants'. */
  readonly added: readonly AddedRepository[];
  /** What is allowed, but less than it looks. */
  readonly notes: readonly Problem[];
  /** Repositories of a layer that one above does not have. */
  readonly problems: readonly Problem[];
}

export interface AddedRepository {
  readonly layer: string;
  readonly repository: string;
  /** Ends the sentence "kept for …". */
  readonly reason: string;
}

interface Need {
  readonly repository: Repository;
  readonly reason: string;
}

/**
 * Computes from the bottom up what every ancestor must keep. A layer whose repositories do not contain those of the
 * layers below is a problem that names both, unless it says `includeDescendants`: then they are added, and told.
 */
export function shareRepositories({ layers, deviceRepositories }: Hierarchy): Shares {
  const kept = new Map<string, readonly Repository[]>();
  const wanted = new Map<string, readonly string[]>();
  const added: AddedRepository[] = [];
  const notes: Problem[] = [];
  const problems: Problem[] = [];
  const reasons = new Map<string, string>();
  const children = childrenOf(layers);

  for (const layer of topDown(layers).reverse()) {
    const list = [...layer.repositories];
    for (const { repository, reason } of needsBelow(layer)) {
      const name = repositoryNameOf(repository);
      const cover = list.find((own) => covers(repositoryNameOf(own), name));
      if (cover !== undefined) {
        if (name === repositoryNameOf(cover) && isAdded(layer, cover))
          list.splice(list.indexOf(cover), 1, merge(cover, repository));
        else notes.push(...narrower(layer, cover, repository, reason));
        continue;
      }
      list.push(repository);
      reasons.set(`${layer.name} ${name}`, reason);
      if (layer.includeDescendants) added.push({ layer: layer.name, repository: name, reason });
      else
        problems.push({
          path: `${layer.path}/repositories`,
          message: `must contain ${name} for ${reason}; add it, or say includeDescendants: true`,
        });
    }
    kept.set(layer.name, list);
    wanted.set(layer.name, [...new Set([...list.map(repositoryNameOf), ...deviceRepositories])]);
  }
  return { kept, wanted, added: added.reverse(), notes, problems };

  function needsBelow(layer: Layer): Need[] {
    return children(layer).flatMap((child) => [
      ...(kept.get(child.name) ?? []).map((repository) => ({
        repository,
        reason: reasons.get(`${child.name} ${repositoryNameOf(repository)}`) ?? child.name,
      })),
      ...deviceRepositories.map((repository) => ({ repository, reason: `the device of ${child.name}` })),
    ]);
  }
}

export function covers(outer: string, inner: string): boolean {
  const [outside, inside] = [parseRepositoryPattern(outer), parseRepositoryPattern(inner)];
  return outside !== undefined && inside !== undefined && coversPattern(outside, inside);
}

function isAdded({ repositories }: Layer, repository: Repository): boolean {
  return !repositories.includes(repository);
}

/** Both must be there: where they filter differently, nothing is filtered. */
function merge(one: Repository, other: Repository): Repository {
  const [a, b] = [ruleOf(one), ruleOf(other)];
  const rule = {
    name: a.name,
    ...(isSame(a.tags, b.tags) && a.tags && { tags: a.tags }),
    ...(isSame(a.platforms, b.platforms) && a.platforms && { platforms: a.platforms }),
  };
  return Object.keys(rule).length === 1 ? rule.name : rule;
}

/** A filter that a layer above has and the one below does not: what it leaves out never arrives there. */
function narrower(layer: Layer, above: Repository, below: Repository, reason: string): Problem[] {
  const [outer, inner] = [ruleOf(above), ruleOf(below)];
  return (['tags', 'platforms'] as const)
    .filter((key) => (outer[key]?.length ?? 0) > 0 && !isSame(outer[key], inner[key]))
    .map((key) => ({
      path: `${layer.path}/repositories`,
      message: `keeps only some ${key} of ${outer.name}; ${reason} gets no others of ${inner.name}`,
    }));
}

function ruleOf(repository: Repository): RepositoryRule {
  return typeof repository === 'string' ? { name: repository } : repository;
}

function isSame(one: readonly string[] = [], other: readonly string[] = []): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
