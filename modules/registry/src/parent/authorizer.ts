import type { Credentials } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import { unlessAborted } from '../status/unless-aborted.ts';
import type { Access } from './access.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import type { Connection } from './connection.ts';
import { basicAuthorization, fetchToken, type TokenService } from './fetch-token.ts';
import { ParentError } from './parent.ts';
import { createTokenCache } from './token-cache.ts';

export interface Authorizer {
  /** For messages: `the sync token <name>`. */
  readonly who: string;
  /** The `Authorization` for `access`; undefined until the parent has asked for one. Throws ParentError. */
  authorization(access: Access, signal?: AbortSignal): Promise<string | undefined>;
  /**
   * Learns from a 401 what the parent wants instead of `used`; false when there is nothing else to offer.
   * Throws ParentError where the parent wants the credentials sent to a place they must not go to.
   */
  learn(access: Access, challenge: string | string[] | undefined, used: string | undefined): boolean;
}

type Scheme =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly header: string }
  | { readonly kind: 'bearer'; readonly service: TokenService };

/** Basic or Bearer, as the parent asks for it (RFC 7617; Docker token authentication). */
export function createAuthorizer(options: {
  readonly parent: URL;
  readonly connection: Connection;
  readonly credentials: Credentials | undefined;
  readonly clock: Clock;
}): Authorizer {
  const { parent, connection, credentials, clock } = options;
  let scheme: Scheme = { kind: 'none' };
  /** Where the parent names another scope than we would ask for (ACR: `metadata_read`). */
  const namedScopes = new Map<string, string>();
  const tokens = createTokenCache({
    clock,
    async fetchToken(scope) {
      if (scheme.kind !== 'bearer') throw new ParentError('broken', `${parent.host} stopped asking for tokens`);
      return fetchToken({ connection, clock, service: scheme.service, credentials, scope });
    },
  });

  function scopeOf({ use, scope }: Access): string {
    return namedScopes.get(use) ?? scope;
  }

  function useBearer(challenge: Challenge, access: Access, used: string | undefined): void {
    const service = { realm: realmOf(challenge, parent), service: challenge.parameters.get('service') };
    if (scheme.kind === 'bearer' && !sameService(scheme.service, service)) tokens.clear();
    if (used?.startsWith('Bearer ')) tokens.drop(scopeOf(access), used.slice('Bearer '.length));
    const named = challenge.parameters.get('scope');
    if (named !== undefined && !isPartOf(named, access.scope)) namedScopes.set(access.use, named);
    scheme = { kind: 'bearer', service };
  }

  return {
    who: credentials ? `the sync token ${credentials.name}` : 'to answer without a sync token',
    async authorization(access, signal) {
      if (scheme.kind === 'none') return undefined;
      if (scheme.kind === 'basic') return scheme.header;
      signal?.throwIfAborted();
      const fetched = tokens.get(scopeOf(access));
      // Many wait for one token; each may stop waiting on its own.
      const token = await (signal ? unlessAborted(fetched, signal) : fetched);
      return `Bearer ${token}`;
    },
    learn(access, header, used) {
      const challenges = parseChallenges(header);
      const bearer = challenges.find((challenge) => challenge.scheme === 'bearer' && challenge.parameters.has('realm'));
      if (bearer) {
        useBearer(bearer, access, used);
        return true;
      }
      if (!credentials || !challenges.some((challenge) => challenge.scheme === 'basic')) return false;
      scheme = { kind: 'basic', header: basicAuthorization(credentials) };
      return used !== scheme.header;
    },
  };
}

/** The token endpoint. The password may go to any host over TLS, and in the clear only where it goes in the clear anyway. */
function realmOf(challenge: Challenge, parent: URL): URL {
  const text = challenge.parameters.get('realm') ?? '';
  const realm = URL.canParse(text, parent.href) ? new URL(text, parent) : undefined;
  const inTheClear = realm?.protocol === 'http:' && parent.protocol === 'http:' && realm.hostname === parent.hostname;
  if (!realm || (realm.protocol !== 'https:' && !inTheClear)) {
    const where = realm ? realm.origin : JSON.stringify(text.slice(0, 100));
    throw new ParentError('refused', `${parent.host} wants the sync token sent to ${where}, which is not safe`);
  }
  return realm;
}

/** Whether `scope` asks for nothing beyond `whole`, which then is as good, or better. */
function isPartOf(scope: string, whole: string): boolean {
  const parts = new Set(permissionsIn(whole));
  return permissionsIn(scope).every((part) => parts.has(part));
}

/** One by one: `repository:plant/hello:pull,push` gives `repository:plant/hello:pull` and `…:push`. */
function permissionsIn(scope: string): string[] {
  return scope.split(' ').flatMap((part) => {
    const end = part.lastIndexOf(':') + 1;
    return part
      .slice(end)
      .split(',')
      .map((action) => part.slice(0, end) + action);
  });
}

function sameService(one: TokenService, other: TokenService): boolean {
  return one.realm.href === other.realm.href && one.service === other.service;
}
