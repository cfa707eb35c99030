import type { RepositoryName } from '../oci/names.ts';
import type { GatewayAction, RepositoryAction, Settings } from '../settings/settings.ts';

/** Who asks, and what they may do: client tokens, children's sync tokens, and the admin outside IoT Edge. */
export interface Auth {
  /** New tokens, scope maps and children take effect at the next request; a disabled token is out at once. */
  apply(settings: Pick<Settings, 'clientTokens' | 'scopeMaps' | 'children'>): void;
  /** Goes up with every `apply`: what was allowed before may not be any more. */
  readonly generation: number;
  /** Reads an `Authorization` header: Basic (token name and password) or Bearer (issued by `issue`). */
  authenticate(authorization: string | undefined): Promise<Authentication>;
  /** Checks a name and password, as Basic and the token endpoint's `password` grant carry them. */
  login(name: string, password: string): Promise<Access | undefined>;
  /** A bearer token for the asked scopes, cut down to what `access` allows. */
  issue(access: Access, scopes: readonly Scope[]): Promise<IssuedToken>;
  /** Exchanges a refresh token (`offline_token`); undefined when it is invalid, expired or its owner is gone. */
  refresh(refreshToken: string): Promise<Access | undefined>;
  issueRefreshToken(access: Access): Promise<string>;
}

export type Authentication =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'authenticated'; readonly access: Access };

/** A principal's permissions at this moment, narrowed by the bearer token's scopes where one was used. */
export interface Access {
  readonly principal: string;
  readonly kind: 'client-token' | 'sync-token' | 'admin';
  allows(repository: RepositoryName, action: RepositoryAction): boolean;
  allowsGateway(registry: string, action: GatewayAction): boolean;
  /** Whether the catalog may be asked for at all; each row is then checked with `allows(…, 'metadata/read')`. */
  readonly allowsCatalog: boolean;
  /** The same principal's permissions without a bearer token's narrowing. */
  readonly unnarrowed: Access;
}

/** One docker scope: `repository:plant/hello:pull,push`, `registry:catalog:*`. */
export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export interface IssuedToken {
  readonly accessToken: string;
  readonly expiresInSeconds: number;
  readonly issuedAt: Date;
}
