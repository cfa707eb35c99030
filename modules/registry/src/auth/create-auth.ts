import { RegistryError } from '../errors.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { accessOf } from './access.ts';
import type { Access, Auth, Authentication, Scope } from './auth.ts';
import { parseBasicCredentials } from './basic-credentials.ts';
import { accessTokenLifetimeSeconds, createTokenSigner, type TokenClaims, type TokenKind } from './bearer-token.ts';
import { createPasswordChecker } from './password-checker.ts';
import { livePasswords, principalsOf, type AdminAccount, type Principal } from './principals.ts';
import { grantScopes } from './scope.ts';

export interface AuthOptions {
  /** 32 bytes, kept with the data volume: another key ends every bearer token. */
  readonly signingKey: Uint8Array;
  readonly clock: Clock;
  readonly log: Log;
  /** Outside IoT Edge: may do everything. */
  readonly admin?: AdminAccount;
}

/** Of whom `current` made an access, and with which password. */
type Owner = Pick<TokenClaims, 'principal' | 'passwordId'>;

/** Nobody gets in before `apply`, except the admin. Throws RangeError for a signing key that is too short. */
export function createAuth(options: AuthOptions): Auth {
  const { signingKey, clock, log, admin } = options;
  if (signingKey.length < 32) throw new RangeError('the signing key must have 32 bytes');
  const tokens = createTokenSigner({ signingKey, clock });
  const passwords = createPasswordChecker();
  const owners = new WeakMap<Access, Owner>();
  let principals: ReadonlyMap<string, Principal> = new Map();
  const known = new WeakMap<Owner, { readonly principal: Principal; readonly access: Access }>();
  let generation = 0;
  apply({ clientTokens: [], scopeMaps: [], children: [] });

  return {
    get generation() {
      return generation;
    },
    apply,
    authenticate,
    login,
    issue,
    refresh,
    issueRefreshToken,
  };

  function apply(settings: Parameters<Auth['apply']>[0]): void {
    const next = new Map<string, Principal>();
    for (const principal of principalsOf(settings, admin)) {
      const { name, kind } = principal;
      if (next.has(name)) log.warn('two accounts have one name: the later one cannot log in', { name, kind });
      else next.set(name, principal);
    }
    principals = next;
    generation += 1;
    passwords.keepOnly(new Set([...next.values()].flatMap((principal) => principal.passwords.map(({ hash }) => hash))));
  }

  async function authenticate(authorization: string | undefined): Promise<Authentication> {
    if (authorization === undefined || authorization === '') return { kind: 'anonymous' };
    const [, scheme = '', value = ''] = /^(\S+) +(\S+)\s*$/.exec(authorization) ?? [];
    switch (scheme.toLowerCase()) {
      case 'basic': {
        const credentials = parseBasicCredentials(value);
        if (!credentials) return rejected('malformed Basic credentials');
        return authenticated(await login(credentials.name, credentials.password)) ?? rejected('wrong name or password');
      }
      case 'bearer': {
        const access = await redeem('access', value);
        return typeof access === 'string' ? rejected(access) : { kind: 'authenticated', access };
      }
      default:
        return rejected('the Authorization header must be Basic or Bearer');
    }
  }

  async function login(name: string, password: string): Promise<Access | undefined> {
    const principal = principals.get(name);
    const live = principal ? livePasswords(principal, clock.now()) : [];
    const hash = await passwords.find(
      principal?.name ?? '',
      password,
      live.map((one) => one.hash),
    );
    const passwordId = live.find((one) => one.hash === hash)?.id;
    const access = passwordId === undefined ? undefined : current({ principal: name, passwordId });
    // An unknown name is not shown: it may be a password typed into the wrong field.
    if (!access) log.info('login refused', principal && { principal: name });
    return access;
  }

  async function issue(access: Access, scopes: readonly Scope[]): ReturnType<Auth['issue']> {
    const { token, issuedAt } = await tokens.sign('access', {
      ...ownerOf(access),
      scopes: grantScopes(scopes, access),
    });
    return { accessToken: token, expiresInSeconds: accessTokenLifetimeSeconds, issuedAt };
  }

  async function refresh(refreshToken: string): Promise<Access | undefined> {
    const access = await redeem('refresh', refreshToken);
    return typeof access === 'string' ? undefined : access;
  }

  /** Throws DENIED for a narrowed access: a refresh token brings back everything its owner may. */
  async function issueRefreshToken(access: Access): Promise<string> {
    if (access.unnarrowed !== access) throw new RegistryError('DENIED');
    return (await tokens.sign('refresh', { ...ownerOf(access), scopes: [] })).token;
  }

  /** What the token's owner may do now, or why it is refused. */
  async function redeem(kind: TokenKind, token: string): Promise<Access | string> {
    const claims = await tokens.verify(kind, token);
    if (claims === 'expired') return 'the token has expired';
    if (claims === 'invalid') return 'the token is not valid';
    const access = current(claims, kind === 'access' ? claims.scopes : undefined);
    return access ?? 'the token was withdrawn: its owner or password is no longer valid';
  }

  /**
   * What the owner may do at this moment, the same for the same claims until an `apply`, which makes every principal
   * anew; undefined when it is gone or disabled, or its password replaced or expired.
   */
  function current(owner: Owner, scopes?: readonly Scope[]): Access | undefined {
    const principal = principals.get(owner.principal);
    if (!principal || !livePasswords(principal, clock.now()).some(({ id }) => id === owner.passwordId))
      return undefined;
    const same = known.get(owner);
    if (same?.principal === principal) return same.access;
    const access = accessOf(principal, scopes);
    known.set(owner, { principal, access });
    owners.set(access, { principal: owner.principal, passwordId: owner.passwordId });
    return access;
  }

  function ownerOf(access: Access): Owner {
    const owner = owners.get(access);
    if (!owner) throw new RegistryError('UNAUTHORIZED');
    return owner;
  }
}

function authenticated(access: Access | undefined): Authentication | undefined {
  return access && { kind: 'authenticated', access };
}

function rejected(reason: string): Authentication {
  return { kind: 'rejected', reason };
}
