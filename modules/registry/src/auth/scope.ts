import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import { gatewayActions, repositoryActions } from '../settings/permission.ts';
import type { GatewayAction, RepositoryAction } from '../settings/settings.ts';
import type { Access, Scope } from './auth.ts';

/** The word for each action in docker's scopes, as ACR spells them. */
const words: Record<RepositoryAction, string> = {
  'content/read': 'pull',
  'content/write': 'push',
  'content/delete': 'delete',
  'metadata/read': 'metadata_read',
  'metadata/write': 'metadata_write',
};

/** What a word asks for beyond its own action: docker lists tags with `pull`, and tags with `push`. */
const implied: Partial<Record<RepositoryAction, string>> = { 'metadata/read': 'pull', 'metadata/write': 'push' };

/**
 * One scope of docker's grammar (distribution, "Token Scope Documentation"): up to the first colon the type, after
 * the last one the actions. A resource class, `repository(plugin)`, makes no difference here and is left out.
 */
export function parseScope(text: string): Scope | undefined {
  const [, type, name, actions] =
    /^([a-z0-9]+)(?:\([a-z0-9]+\))?:([^\s]+):((?:[a-z_]+|\*)(?:,(?:[a-z_]+|\*))*)$/.exec(text) ?? [];
  if (type === undefined || name === undefined || actions === undefined) return undefined;
  return { type, name, actions: [...new Set(actions.split(','))] };
}

/** The scopes in `scope` parameters: docker repeats the parameter, containerd merges them with spaces. What is none is left out. */
export function parseScopes(values: readonly string[]): Scope[] {
  return values
    .flatMap((value) => value.split(' '))
    .map(parseScope)
    .filter((scope) => scope !== undefined);
}

/** The part of the asked scopes that `access` allows. Words are exact afterwards: `*` and implied actions are spelled out. */
export function grantScopes(asked: readonly Scope[], access: Access): Scope[] {
  return asked.map((scope) => cut(scope, access)).filter((scope) => scope.actions.length > 0);
}

function cut(scope: Scope, access: Access): Scope {
  const repository = scope.type === 'repository' ? parseRepositoryName(scope.name) : undefined;
  if (repository) {
    const actions = repositoryActions.filter((action) => asks(scope, action) && access.allows(repository, action));
    return { ...scope, actions: actions.map((action) => words[action]) };
  }
  if (scope.type === 'gateway') {
    const actions = gatewayActions.filter(
      (action) => asksGateway(scope, action) && access.allowsGateway(scope.name, action),
    );
    return { ...scope, actions: actions.map(gatewayWord) };
  }
  return { ...scope, actions: isCatalog(scope) && access.allowsCatalog ? ['*'] : [] };
}

/** Catalog rows are checked with `metadata/read`, so the catalog scope carries it for every repository. */
export function coversRepository(scopes: readonly Scope[], name: RepositoryName, action: RepositoryAction): boolean {
  return scopes.some(
    (scope) =>
      (scope.type === 'repository' && scope.name === name && asks(scope, action)) ||
      (action === 'metadata/read' && isCatalog(scope)),
  );
}

/** `gateway:<registry>:message_read` or `…:*` is ours: docker has no word for it. */
export function coversGateway(scopes: readonly Scope[], registry: string, action: GatewayAction): boolean {
  return scopes.some(
    (scope) => scope.type === 'gateway' && sameRegistry(scope.name, registry) && asksGateway(scope, action),
  );
}

export function coversCatalog(scopes: readonly Scope[]): boolean {
  return scopes.some(isCatalog);
}

/** ACR writes registry names in lower case in gateway actions. */
export function sameRegistry(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function isCatalog({ type, name, actions }: Scope): boolean {
  return type === 'registry' && name === 'catalog' && actions.includes('*');
}

function asks({ actions }: Scope, action: RepositoryAction): boolean {
  return [words[action], implied[action], '*'].some((word) => word !== undefined && actions.includes(word));
}

function asksGateway({ actions }: Scope, action: GatewayAction): boolean {
  return actions.includes('*') || actions.includes(gatewayWord(action));
}

function gatewayWord(action: GatewayAction): string {
  return action.replace('/', '_');
}
