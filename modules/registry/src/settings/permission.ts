import { parseRepositoryPattern } from '../oci/pattern.ts';
import type { GatewayAction, Permission, RepositoryAction } from './settings.ts';
import { isRegistryName } from './names.ts';

export const repositoryActions: readonly RepositoryAction[] = [
  'content/read',
  'content/write',
  'content/delete',
  'metadata/read',
  'metadata/write',
];
export const gatewayActions: readonly GatewayAction[] = [
  'config/read',
  'config/write',
  'message/read',
  'message/write',
];

export function isGatewayAction(action: string): action is GatewayAction {
  return (gatewayActions as readonly string[]).includes(action);
}

/** Reads one scope-map action, `repositories/<name or pattern>/content/read` or `gateway/<registry>/message/read`. */
export function parsePermission(text: string): Permission | undefined {
  const [, kind, name = '', verb] = /^(repositories|gateway)\/(.+)\/([a-z]+\/[a-z]+)$/.exec(text) ?? [];
  if (kind === 'gateway') {
    const action = gatewayActions.find((known) => known === verb);
    return action && isRegistryName(name) ? { kind, registry: name, action } : undefined;
  }
  const action = repositoryActions.find((known) => known === verb);
  const pattern = parseRepositoryPattern(name);
  return action && pattern && { kind: 'repository', pattern, action };
}
