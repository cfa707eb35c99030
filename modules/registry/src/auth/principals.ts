import { createHash } from 'node:crypto';
import { gatewayActions, repositoryActions } from '../settings/permission.ts';
import type { ChildRegistry, Permission, RepositoryAction, Settings, TokenPassword } from '../settings/settings.ts';
import type { Access } from './auth.ts';

/** Somebody with a name and passwords, and what they may do. */
export interface Principal {
  readonly name: string;
  readonly kind: Access['kind'];
  readonly passwords: readonly Password[];
  readonly permissions: readonly Permission[];
}

export interface Password {
  readonly hash: string;
  /** Names this password in bearer tokens, which end with it. Tells nothing of the password or its hash. */
  readonly id: string;
  readonly expiry: Date | undefined;
}

export interface AdminAccount {
  readonly name: string;
  readonly hash: string;
}

const reading: readonly RepositoryAction[] = ['content/read', 'metadata/read'];

/** Everybody who may log in: admin, children, client tokens, in the order in which they claim a name. Disabled ones are nobody. */
export function principalsOf(
  { clientTokens, scopeMaps, children }: Pick<Settings, 'clientTokens' | 'scopeMaps' | 'children'>,
  admin?: AdminAccount,
): Principal[] {
  const permissionsOf = new Map(scopeMaps.map((map) => [map.name, map.permissions]));
  return [
    ...(admin ? [adminOf(admin)] : []),
    ...children
      .filter(({ syncToken }) => syncToken.status === 'enabled')
      .map((child): Principal => ({
        name: child.syncToken.name,
        kind: 'sync-token',
        passwords: child.syncToken.passwords.map(passwordOf),
        permissions: permissionsOfChild(child),
      })),
    ...clientTokens
      .filter(({ status }) => status === 'enabled')
      .map((token): Principal => ({
        name: token.name,
        kind: 'client-token',
        passwords: token.passwords.map(passwordOf),
        permissions: permissionsOf.get(token.scopeMap) ?? [],
      })),
  ];
}

/** The passwords that are good at `now`: a password ends with the instant of its expiry. */
export function livePasswords({ passwords }: Principal, now: Date): Password[] {
  return passwords.filter(({ expiry }) => expiry === undefined || now < expiry);
}

/** The sync scope map of ACR's CLI (`REPO_SCOPES_BY_MODE`, `DEFAULT_GATEWAY_SCOPE`). */
function permissionsOfChild({ name, mode, repositories }: ChildRegistry): Permission[] {
  const actions = mode === 'ReadWrite' ? repositoryActions : reading;
  return [
    ...repositories.flatMap((pattern) => actions.map((action) => ({ kind: 'repository' as const, pattern, action }))),
    ...gatewayActions.map((action) => ({ kind: 'gateway' as const, registry: name, action })),
  ];
}

function adminOf({ name, hash }: AdminAccount): Principal {
  return { name, kind: 'admin', passwords: [passwordOf({ hash, expiry: undefined })], permissions: [] };
}

function passwordOf({ hash, expiry }: Pick<TokenPassword, 'hash' | 'expiry'>): Password {
  return { hash, expiry, id: createHash('sha256').update(hash).digest('base64url').slice(0, 22) };
}
