import { isCollection, isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { createCheck } from '../../modules/registry/src/settings/schema-problems.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import type { Platform } from '../deployment/module-source.ts';
import { hierarchySchema } from './hierarchy-schema.ts';
import type { Cloud, Gateway, Hierarchy, LayerScopeMap, LayerToken, Repository } from './hierarchy.ts';

/** A problem of the file, with the line it stands on where that is known; from 1. */
export interface FileProblem extends Problem {
  readonly line?: number;
}

export type ReadHierarchy =
  | { readonly ok: true; readonly hierarchy: Hierarchy; /** Adds lines to problems. */ locate: Locate }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

export type Locate = (problems: readonly Problem[]) => FileProblem[];

/** The file once the schema has accepted it and filled in its defaults. */
interface HierarchyDocument {
  readonly cloud: Cloud;
  readonly iotHub?: string;
  readonly platform: Platform;
  readonly deviceRepositories: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly layers: readonly {
    readonly name: string;
    readonly parent?: string;
    readonly mode: 'ReadOnly' | 'ReadWrite';
    readonly device: string;
    readonly iotHub?: string;
    readonly gateway: Gateway;
    readonly platform?: Platform;
    readonly repositories?: readonly Repository[];
    readonly includeDescendants: boolean;
    readonly sync?: JsonObject;
    readonly clientTokens: readonly LayerToken[];
    readonly scopeMaps: readonly LayerScopeMap[];
    readonly variables: Readonly<Record<string, string>>;
    readonly settings?: JsonObject;
  }[];
}

const checkDocument = createCheck<HierarchyDocument>(hierarchySchema);

export interface ReadOptions {
  /** Of devices for which the file names none, in place of the file's own `platform`. */
  readonly platform?: Platform;
}

/** Reads a hierarchy file, YAML or JSON, and checks it against its schema. Never throws. */
export function readHierarchy(text: string, options: ReadOptions = {}): ReadHierarchy {
  const lines = new LineCounter();
  const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (yaml.errors.length > 0) {
    const problems = yaml.errors.map(({ message, pos }) => ({ path: '', message, line: lines.linePos(pos[0]).line }));
    return { ok: false, problems };
  }
  const locate: Locate = (problems) =>
    problems.map((problem) => ({ ...problem, ...lineOf(yaml, lines, problem.path) }));
  const checked = checkDocument(yaml.toJS());
  if (!checked.ok) return { ok: false, problems: locate(checked.problems) };
  return { ok: true, hierarchy: toHierarchy(checked.document, options), locate };
}

function toHierarchy(document: HierarchyDocument, options: ReadOptions): Hierarchy {
  const { cloud, deviceRepositories, variables } = document;
  const layers = document.layers.map((layer, index) => ({
    ...layer,
    path: `/layers/${index}`,
    parent: layer.parent,
    iotHub: layer.iotHub ?? document.iotHub,
    gateway: { ...layer.gateway, hostName: layer.gateway.hostName },
    platform: layer.platform ?? options.platform ?? document.platform,
    repositories: layer.repositories ?? [],
    sync: layer.sync ?? {},
    settings: layer.settings ?? {},
  }));
  return { cloud, deviceRepositories, variables, layers };
}

/** The line of a key, or of what holds it where the key is missing. */
function lineOf(yaml: Document, lines: LineCounter, path: string): { line?: number } {
  const keys = path
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  for (; keys.length > 0; keys.pop()) {
    const offset = offsetOf(yaml, keys);
    if (offset !== undefined) return { line: lines.linePos(offset).line };
  }
  return {};
}

function offsetOf(yaml: Document, keys: readonly string[]): number | undefined {
  const holder = keys.length === 1 ? yaml.contents : yaml.getIn(keys.slice(0, -1), true);
  const last = keys.at(-1);
  if (isMap(holder)) {
    const key = holder.items.map((pair) => pair.key).find((node) => isScalar(node) && String(node.value) === last);
    return isScalar(key) ? key.range?.[0] : undefined;
  }
  const node = isCollection(holder) ? holder.get(Number(last), true) : undefined;
  return (node as { range?: readonly number[] | null } | undefined)?.range?.[0];
}
