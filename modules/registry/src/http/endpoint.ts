import type { Digest } from '../oci/digest.ts';
import type { Reference, RepositoryName, Tag } from '../oci/names.ts';
import type { GatewayAction, RepositoryAction } from '../settings/settings.ts';
import type { Exchange } from './exchange.ts';

/** What a `<parameter>` of a path template holds once it is parsed. */
export interface PathParameters {
  readonly name: RepositoryName;
  readonly digest: Digest;
  readonly reference: Reference;
  readonly tag: Tag;
  /** A connected registry's name. */
  readonly registry: string;
  /** An upload session's id, as the client sent it. */
  readonly upload: string;
}

/** The parameters that occur in `Path`: `/v2/<name>/tags/list` has `{ name }`. */
export type ParametersOf<Path extends string> = {
  readonly [K in keyof PathParameters as Path extends `${string}<${K}>${string}` ? K : never]: PathParameters[K];
};

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** `authenticated`: any valid credentials · `none`: nobody is asked who they are. */
export type Need = RepositoryAction | GatewayAction | 'catalog' | 'authenticated' | 'none';

/** One row of the API: feeds the router, the authoriser and the metrics label. */
export interface Endpoint {
  /** The specification's id (`end-2`), or our own name. */
  readonly id: string;
  readonly methods: readonly Method[];
  /** A template; a trailing slash of a request is ignored. */
  readonly path: string;
  readonly needs: Need;
  /** Answers, or throws RegistryError; "not found" is thrown here and nowhere deeper. */
  readonly handler: (exchange: Exchange, parameters: PathParameters) => Promise<void> | void;
}

/** Checks at compile time that the path carries what the handler reads. */
export function endpoint<const Path extends string>(
  row: Omit<Endpoint, 'path' | 'handler'> & {
    readonly path: Path;
    readonly handler: (exchange: Exchange, parameters: ParametersOf<Path>) => Promise<void> | void;
  },
): Endpoint {
  return row;
}

export function isWrite(needs: Need): boolean {
  return needs === 'content/write' || needs === 'content/delete' || needs === 'metadata/write';
}
