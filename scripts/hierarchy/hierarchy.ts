import type { Mode } from '../../modules/registry/src/settings/settings.ts';
import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import type { Platform } from '../deployment/module-source.ts';

/** One hierarchy file, read and checked against its schema: the cloud registry and every layer below it. */
export interface Hierarchy {
  readonly cloud: Cloud;
  /** What the device of every layer pulls to run itself. */
  readonly deviceRepositories: readonly string[];
  /** For the deployment templates, over those of `.env`. */
  readonly variables: Readonly<Record<string, string>>;
  readonly layers: readonly Layer[];
}

export interface Cloud {
  /** host[:port]. */
  readonly loginServer: string;
  readonly kind: 'acr' | 'oci';
  readonly protocol: 'http' | 'https';
}

/** One connected registry and the IoT Edge device it runs on. */
export interface Layer {
  /** JSON pointer into the file, for messages. */
  readonly path: string;
  readonly name: string;
  /** Undefined: a top layer, below the cloud registry. */
  readonly parent: string | undefined;
  readonly mode: Mode;
  readonly device: string;
  /** Undefined: nowhere said, which is a problem. */
  readonly iotHub: string | undefined;
  /** How devices below reach this one. */
  readonly gateway: Gateway;
  readonly platform: Platform;
  readonly repositories: readonly Repository[];
  /** Whether this layer also keeps what the layers below need. */
  readonly includeDescendants: boolean;
  readonly sync: JsonObject;
  readonly clientTokens: readonly LayerToken[];
  readonly scopeMaps: readonly LayerScopeMap[];
  /** For the deployment template of this layer, over those of the hierarchy. */
  readonly variables: Readonly<Record<string, string>>;
  /** Further desired properties, as written. */
  readonly settings: JsonObject;
}

export interface Gateway {
  /** Undefined: no device can be below. */
  readonly hostName: string | undefined;
  readonly port: number;
  readonly protocol: 'http' | 'https';
}

/** A name, or a rule whose lists mean all where they are empty or not there. */
export type Repository = string | RepositoryRule;

export interface RepositoryRule {
  readonly name: string;
  readonly tags?: readonly string[];
  readonly platforms?: readonly string[];
}

export interface LayerToken {
  readonly name: string;
  readonly status?: 'enabled' | 'disabled';
  /** Of `scopeMaps`; else `actions`. */
  readonly scopeMap?: string;
  readonly actions?: readonly string[];
  readonly expiry?: string;
}

export interface LayerScopeMap {
  readonly name: string;
  readonly actions: readonly string[];
}

export function repositoryNameOf(repository: Repository): string {
  return typeof repository === 'string' ? repository : repository.name;
}

/** Looks up the children of a layer. */
export function childrenOf(layers: readonly Layer[]): (parent: Layer | undefined) => readonly Layer[] {
  const byParent = new Map<string | undefined, Layer[]>();
  for (const layer of layers) {
    const siblings = byParent.get(layer.parent);
    if (siblings) siblings.push(layer);
    else byParent.set(layer.parent, [layer]);
  }
  return (parent) => byParent.get(parent?.name) ?? [];
}

/** Parents before children, in the order of the file otherwise. Layers on a circle are left out. */
export function topDown(layers: readonly Layer[]): Layer[] {
  const children = childrenOf(layers);
  const visit = (layer: Layer): Layer[] => [layer, ...children(layer).flatMap(visit)];
  return children(undefined).flatMap(visit);
}
