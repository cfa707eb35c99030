import { createSecretKey } from 'node:crypto';
import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import type { Clock } from '../status/clock.ts';
import type { Scope } from './auth.ts';

export const accessTokenLifetimeSeconds = 60 * 60;
export const refreshTokenLifetimeSeconds = 90 * 24 * 60 * 60;

/** Another type and another audience each, so that one can never stand for the other. */
const kinds = {
  access: { type: 'at+jwt', audience: 'connected-registry', lifetimeSeconds: accessTokenLifetimeSeconds },
  refresh: { type: 'rt+jwt', audience: 'connected-registry/refresh', lifetimeSeconds: refreshTokenLifetimeSeconds },
} as const;
export type TokenKind = keyof typeof kinds;

const issuer = 'connected-registry';
const algorithm = 'HS256';
/** How far a clock may have been set back before tokens from what is now the future are refused. */
const skewSeconds = 60;
/** Verifying costs 130 µs, which a client that pulls would pay at every request. */
const rememberedTokens = 1000;

/** Whom a token speaks for. A refresh token has no scopes. */
export interface TokenClaims {
  readonly principal: string;
  /** `Password.id` of the password that was given for it. */
  readonly passwordId: string;
  readonly scopes: readonly Scope[];
}

export interface TokenSigner {
  sign(kind: TokenKind, claims: TokenClaims): Promise<{ readonly token: string; readonly issuedAt: Date }>;
  /** Signature, algorithm, type, issuer, audience and time; not whether the principal still is what it was. */
  verify(kind: TokenKind, token: string): Promise<TokenClaims | 'expired' | 'invalid'>;
}

interface Verified {
  readonly kind: TokenKind;
  readonly claims: TokenClaims;
  readonly issuedAtSeconds: number;
  readonly expiresAtSeconds: number;
}

/** Signs and verifies JWTs (HS256) with docker's `access` claim (distribution, "Token Authentication Implementation"). */
export function createTokenSigner(options: { readonly signingKey: Uint8Array; readonly clock: Clock }): TokenSigner {
  const { clock } = options;
  const key = createSecretKey(options.signingKey);
  /** Tokens with a good signature, newest last; their time is checked at every use. */
  const remembered = new Map<string, Verified>();

  return {
    async sign(kind, { principal, passwordId, scopes }) {
      const { type, audience, lifetimeSeconds } = kinds[kind];
      const issuedAtSeconds = Math.floor(clock.now().getTime() / 1000);
      const token = await new SignJWT({ password: passwordId, access: scopes })
        .setProtectedHeader({ alg: algorithm, typ: type })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(principal)
        .setIssuedAt(issuedAtSeconds)
        .setExpirationTime(issuedAtSeconds + lifetimeSeconds)
        .sign(key);
      return { token, issuedAt: new Date(issuedAtSeconds * 1000) };
    },

    async verify(kind, token) {
      const known = remembered.get(token);
      if (known?.kind === kind && isTimely(known)) return known.claims;
      const { type, audience, lifetimeSeconds } = kinds[kind];
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [algorithm],
          typ: type,
          issuer,
          audience,
          currentDate: clock.now(),
          maxTokenAge: lifetimeSeconds,
          clockTolerance: skewSeconds,
          requiredClaims: ['sub', 'exp'],
        });
        const claims = claimsIn(payload);
        if (!claims) return 'invalid';
        remember(token, { kind, claims, issuedAtSeconds: payload.iat ?? 0, expiresAtSeconds: payload.exp ?? 0 });
        return claims;
      } catch (error) {
        return error instanceof errors.JWTExpired ? 'expired' : 'invalid';
      }
    },
  };

  function isTimely({ issuedAtSeconds, expiresAtSeconds }: Verified): boolean {
    const nowSeconds = clock.now().getTime() / 1000;
    return issuedAtSeconds <= nowSeconds && nowSeconds < expiresAtSeconds;
  }

  function remember(token: string, verified: Verified): void {
    remembered.set(token, verified);
    const [oldest] = remembered.keys();
    if (remembered.size > rememberedTokens && oldest !== undefined) remembered.delete(oldest);
  }
}

function claimsIn({ sub, password, access }: JWTPayload): TokenClaims | undefined {
  if (sub === undefined || typeof password !== 'string' || !Array.isArray(access) || !access.every(isScope)) {
    return undefined;
  }
  return { principal: sub, passwordId: password, scopes: access };
}

function isScope(value: unknown): value is Scope {
  if (typeof value !== 'object' || value === null) return false;
  const { type, name, actions } = value as Record<string, unknown>;
  return (
    typeof type === 'string' &&
    typeof name === 'string' &&
    Array.isArray(actions) &&
    actions.every((action) => typeof action === 'string')
  );
}
