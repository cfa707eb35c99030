import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import { diffDocuments, type Change } from './diff-documents.ts';
import type { Plan, PlannedLayer } from './plan-hierarchy.ts';
import type { LayerState, State } from './state.ts';

/** What differs from the last `apply`. */
export interface PlanChanges {
  readonly layers: readonly LayerChanges[];
  readonly removed: readonly LayerState[];
  /** As they were, of layers that moved to another device. */
  readonly moved: readonly LayerState[];
}

export interface LayerChanges {
  readonly name: string;
  readonly kind: 'new' | 'changed' | 'unchanged';
  readonly changes: readonly Change[];
}

export function planChanges({ layers }: Plan, before: State): PlanChanges {
  const names = new Set(layers.map(({ layer }) => layer.name));
  return {
    layers: layers.map(layerChanges),
    removed: before.layers.filter(({ name }) => !names.has(name)),
    moved: layers.flatMap(({ before: old, state }) => (old && !isSameDevice(old, state) ? [old] : [])),
  };
}

function layerChanges({ layer, before, state }: PlannedLayer): LayerChanges {
  const changes = diffDocuments(before ? whole(before) : {}, whole(state));
  const kind = before ? (changes.length > 0 ? 'changed' : 'unchanged') : 'new';
  return { name: layer.name, kind, changes };
}

function whole({ parent, device, iotHub, platform, desired, cloud, syncPasswords }: LayerState): JsonObject {
  return {
    ...(parent !== undefined && { above: parent }),
    device,
    iotHub,
    platform,
    ...desired,
    syncToken: { passwords: syncPasswords.map(({ name, hash }) => ({ name, hash })) },
    ...(cloud && {
      cloud: {
        loginServer: cloud.loginServer,
        password: cloud.password,
        repositories: cloud.grants.map(({ repository, actions }) => ({ name: repository, actions: actions.join(' ') })),
      },
    }),
  };
}

function isSameDevice(one: LayerState, other: LayerState): boolean {
  return one.device === other.device && one.iotHub === other.iotHub;
}
