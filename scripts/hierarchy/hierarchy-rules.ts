import { limits } from '../../modules/registry/src/settings/limits.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { childrenOf, type Hierarchy, type Layer } from './hierarchy.ts';

/** What JSON Schema cannot say of the layers, repositories aside: names, parents, modes, what a layer lacks. */
export function brokenHierarchyRules({ cloud, variables, layers }: Hierarchy): Problem[] {
  const children = childrenOf(layers);
  return [
    ...repeated(layers, 'name', ({ name }) => name.toLowerCase(), 'connected registry'),
    ...repeated(layers, 'device', ({ iotHub, device }) => `${iotHub ?? ''}/${device}`, 'device'),
    ...unknownParents(layers),
    ...circles(layers),
    ...modes(layers),
    ...layers.filter((layer) => children(layer).length > 0).flatMap(gateway),
    ...hubs(layers),
    ...layers.flatMap(scopeMaps),
    ...layers.flatMap(computedSettings),
    ...[{ path: '', variables }, ...layers].flatMap(variableTexts),
    ...layers.flatMap((layer) => tokenNames(layer, children(layer))),
    ...(cloud.kind === 'acr' ? cloudLimits(layers.filter(({ parent }) => parent === undefined).length) : []),
  ];
}

/** Each top layer takes one token and one scope map of the cloud registry. */
export function cloudLimits(topLayers: number): Problem[] {
  return [limits.cloudTokens, limits.cloudScopeMaps]
    .filter(({ value }) => topLayers > value)
    .map(({ value, unit }) => ({
      path: '/layers',
      message: `has ${topLayers} top layers, which need as many ${unit}; the limit is ${value}`,
    }));
}

function repeated(layers: readonly Layer[], key: string, idOf: (layer: Layer) => string, what: string): Problem[] {
  const first = new Map<string, Layer>();
  return layers.flatMap((layer) => {
    const earlier = first.get(idOf(layer));
    if (!earlier) first.set(idOf(layer), layer);
    const message = `must be a ${what} of its own; ${earlier?.path ?? ''} has it already`;
    return earlier ? [{ path: `${layer.path}/${key}`, message }] : [];
  });
}

function unknownParents(layers: readonly Layer[]): Problem[] {
  const names = new Set(layers.map(({ name }) => name));
  return layers
    .filter(({ parent }) => parent !== undefined && !names.has(parent))
    .map(({ path, parent = '' }) => ({
      path: `${path}/parent`,
      message: `must name a layer of this file; ${parent} is none`,
    }));
}

function circles(layers: readonly Layer[]): Problem[] {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  return layers
    .filter((layer) => isOnCircle(layer, byName))
    .map(({ path }) => ({
      path: `${path}/parent`,
      message: 'must not be below this layer itself: the parents form a circle',
    }));
}

function isOnCircle(layer: Layer, byName: ReadonlyMap<string, Layer>): boolean {
  const seen = new Set<Layer>();
  for (let above = byName.get(layer.parent ?? ''); above && !seen.has(above); above = byName.get(above.parent ?? '')) {
    if (above === layer) return true;
    seen.add(above);
  }
  return false;
}

function modes(layers: readonly Layer[]): Problem[] {
  const readOnly = new Set(layers.filter(({ mode }) => mode === 'ReadOnly').map(({ name }) => name));
  return layers
    .filter(({ mode, parent }) => mode === 'ReadWrite' && parent !== undefined && readOnly.has(parent))
    .map(({ path, parent = '' }) => ({
      path: `${path}/mode`,
      message: `must be ReadOnly: its parent ${parent} is ReadOnly, which accepts only ReadOnly children`,
    }));
}

function gateway({ path, gateway: { hostName } }: Layer): Problem[] {
  if (hostName !== undefined) return [];
  return [{ path: `${path}/gateway/hostName`, message: 'is required of a layer with layers below it' }];
}

function hubs(layers: readonly Layer[]): Problem[] {
  return layers
    .filter(({ iotHub }) => iotHub === undefined)
    .map(({ path }) => ({ path: `${path}/iotHub`, message: 'is required, here or once for all layers as /iotHub' }));
}

function scopeMaps({ path, clientTokens, scopeMaps: maps }: Layer): Problem[] {
  const known = new Set(maps.map(({ name }) => name));
  return clientTokens.flatMap(({ name, scopeMap, actions }, index) => {
    const at = `${path}/clientTokens/${index}`;
    if ((scopeMap === undefined) === (actions === undefined)) {
      return [{ path: at, message: 'must have either scopeMap or actions' }];
    }
    if (scopeMap !== undefined && !known.has(scopeMap)) {
      return [{ path: `${at}/scopeMap`, message: 'must be the name of a scope map under scopeMaps' }];
    }
    const taken = actions !== undefined && known.has(name);
    return taken
      ? [{ path: `${at}/actions`, message: `need a scope map of the token's name, which scopeMaps has already` }]
      : [];
  });
}

const computed = ['mode', 'parent', 'repositories', 'clientTokens', 'scopeMaps', 'children'];

function computedSettings({ path, settings }: Layer): Problem[] {
  return Object.keys(settings)
    .filter((key) => computed.includes(key))
    .map((key) => ({
      path: `${path}/settings/${key}`,
      message: 'is computed from the file; say it in the layer itself',
    }));
}

function variableTexts({ path, variables }: { path: string; variables: Readonly<Record<string, unknown>> }): Problem[] {
  return Object.entries(variables)
    .filter(([, value]) => typeof value !== 'string')
    .map(([name]) => ({ path: `${path}/variables/${name}`, message: 'must be a string; put a number in quotes' }));
}

/** Client tokens and the sync tokens of children log in at the same registry; a sync token has its registry's name. */
function tokenNames({ path, clientTokens }: Layer, children: readonly Layer[]): Problem[] {
  const first = new Map(children.map(({ name }) => [name, `the sync token of ${name}`]));
  return clientTokens.flatMap(({ name }, index) => {
    const earlier = first.get(name);
    const at = `${path}/clientTokens/${index}`;
    if (earlier === undefined) first.set(name, at);
    return earlier === undefined
      ? []
      : [{ path: `${at}/name`, message: `must be a name of its own; ${earlier} has it already` }];
  });
}
