import { repositoryActions } from '../../modules/registry/src/settings/permission.ts';
import { limits } from '../../modules/registry/src/settings/limits.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { covers } from './share-repositories.ts';
import { repositoryNameOf, type Layer, type Repository } from './hierarchy.ts';

/** What a sync token may do in one repository of the cloud registry. */
export interface CloudGrant {
  readonly repository: string;
  readonly actions: readonly string[];
}

const reading = ['content/read', 'metadata/read'];

/**
 * What the sync token of a top layer needs in the cloud registry, as ACR's CLI grants it, and no more: it writes what
 * it and ReadWrite layers below it list themselves, and reads what is kept for others and what its device pulls.
 */
export function cloudGrants(
  kept: readonly Repository[],
  written: readonly Repository[],
  pulled: readonly string[],
): CloudGrant[] {
  const names = kept.map(repositoryNameOf);
  const isKept = (name: string): boolean => names.some((own) => covers(own, name));
  const isWritten = (name: string): boolean => written.some((own) => covers(repositoryNameOf(own), name));
  return [...names, ...new Set(pulled.filter((name) => !isKept(name)))].map((repository) => ({
    repository,
    actions: isWritten(repository) ? repositoryActions : reading,
  }));
}

/** What clients may push at `layer` and at the ReadWrite layers below it, all of which goes up. */
export function writtenRepositories(layer: Layer, children: (parent: Layer) => readonly Layer[]): Repository[] {
  if (layer.mode === 'ReadOnly') return [];
  return [...layer.repositories, ...children(layer).flatMap((child) => writtenRepositories(child, children))];
}

export function grantLimits({ path, name }: Layer, grants: readonly CloudGrant[]): Problem[] {
  const count = grants.reduce((sum, { actions }) => sum + actions.length, 0);
  const most = limits.repositoryPermissions.value;
  if (count <= most) return [];
  const message = `need ${count} repository permissions in the scope map ${name} of the cloud registry; the limit is ${most}`;
  return [{ path: `${path}/repositories`, message }];
}

/** ACR's tokens cannot list the catalog, so a pattern at the top finds nothing there. */
export function patternNotes({ path }: Layer, grants: readonly CloudGrant[]): Problem[] {
  return grants
    .filter(({ repository }) => repository.includes('*'))
    .map(({ repository }) => ({
      path: `${path}/repositories`,
      message: `${repository} is a pattern, but tokens of Azure Container Registry cannot list its repositories: name each one`,
    }));
}
