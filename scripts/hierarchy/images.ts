import { property, textOf } from '../../modules/registry/src/settings/entries.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { modulesOf, systemModulesOf } from '../deployment/manifest.ts';
import type { Layer } from './hierarchy.ts';
import { covers } from './share-repositories.ts';

/** A repository that a module of a manifest is pulled from. */
export interface PulledRepository {
  readonly module: string;
  readonly repository: string;
}

/** What a manifest pulls from the registry `host`. */
export function pulledFrom(host: string, manifest: unknown): PulledRepository[] {
  return [...systemModulesOf(manifest), ...modulesOf(manifest)].flatMap((module) => {
    const image = textOf(property(property(module, 'settings'), 'image')) ?? '';
    if (!image.startsWith(`${host}/`)) return [];
    const reference = image.slice(host.length + 1);
    return [{ module: module.name, repository: reference.replace(/@.*$/, '').replace(/:[^/:]*$/, '') }];
  });
}

/** Images that come from the parent, though the parent does not let this layer have them. */
export function foreignImages(
  { name }: Layer,
  pulled: readonly PulledRepository[],
  allowed: readonly string[],
): Problem[] {
  return pulled
    .filter(({ repository }) => !allowed.some((pattern) => covers(pattern, repository)))
    .map(({ module, repository }) => ({
      path: '/deviceRepositories',
      message: `must contain ${repository}, which the module ${module} of ${name} is pulled from`,
    }));
}
