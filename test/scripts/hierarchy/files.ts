import { readHierarchy, type FileProblem } from '../../../scripts/hierarchy/read-hierarchy.ts';
import type { Hierarchy } from '../../../scripts/hierarchy/hierarchy.ts';

export type LayerFields = Readonly<Record<string, unknown>>;

/** A layer with everything that is required of one. */
export function layer(name: string, fields: LayerFields = {}): LayerFields {
  return { name, mode: 'ReadOnly', device: `${name}-device`, gateway: { hostName: `${name}.local` }, ...fields };
}

/** The text of a hierarchy file; `more` replaces keys of the file. */
export function fileOf(layers: readonly LayerFields[], more: LayerFields = {}): string {
  return JSON.stringify({
    cloud: { loginServer: 'contoso.azurecr.io' },
    iotHub: 'hub',
    deviceRepositories: ['connected-registry'],
    variables: { EDGE_RUNTIME_VERSION: '1.6', API_PROXY_VERSION: '1.1' },
    layers,
    ...more,
  });
}

export function hierarchyOf(layers: readonly LayerFields[], more: LayerFields = {}): Hierarchy {
  const read = readHierarchy(fileOf(layers, more));
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.hierarchy;
}

export function problemsOf(text: string): readonly FileProblem[] {
  const read = readHierarchy(text);
  return read.ok ? [] : read.problems;
}
