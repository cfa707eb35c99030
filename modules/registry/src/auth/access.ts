import { matchesPattern } from '../oci/pattern.ts';
import type { Permission } from '../settings/settings.ts';
import type { Access, Scope } from './auth.ts';
import type { Principal } from './principals.ts';
import { coversCatalog, coversGateway, coversRepository, sameRegistry } from './scope.ts';

/** What `principal` may do; with `scopes`, only what these name as well. The admin may do everything. */
export function accessOf(principal: Principal, scopes?: readonly Scope[]): Access {
  const { name, kind, permissions } = principal;
  const may = (test: (permission: Permission) => boolean): boolean => kind === 'admin' || permissions.some(test);
  const seesCatalog =
    kind === 'sync-token' ||
    may((permission) => permission.kind === 'repository' && permission.action === 'metadata/read');
  const access: Access = {
    principal: name,
    kind,
    allows: (repository, action) =>
      (scopes === undefined || coversRepository(scopes, repository, action)) &&
      may(
        (permission) =>
          permission.kind === 'repository' &&
          permission.action === action &&
          matchesPattern(permission.pattern, repository),
      ),
    allowsGateway: (registry, action) =>
      (scopes === undefined || coversGateway(scopes, registry, action)) &&
      may(
        (permission) =>
          permission.kind === 'gateway' && permission.action === action && sameRegistry(permission.registry, registry),
      ),
    allowsCatalog: seesCatalog && (scopes === undefined || coversCatalog(scopes)),
    get unnarrowed() {
      return scopes === undefined ? access : accessOf(principal);
    },
  };
  return access;
}
