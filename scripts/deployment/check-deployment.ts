import { property, textOf } from '../../modules/registry/src/settings/entries.ts';
import { isEndpoint } from '../../modules/registry/src/settings/endpoint.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';
import { checkRegistry } from './check-registry.ts';
import { checkSections } from './check-sections.ts';
import { checkCreateOptions } from './create-options.ts';
import { deploymentSchema, layeredSchema } from './manifest-schema.ts';
import {
  credentialsOf,
  environmentOf,
  isLayered,
  modulesOf,
  routesOf,
  systemModulesOf,
  type NamedEntry,
} from './manifest.ts';
import { parseRoute, routeRule } from './route.ts';
import { schemaProblems } from './schema-check.ts';

const fullProblems = schemaProblems(deploymentSchema);
const layeredProblems = schemaProblems(layeredSchema);

/**
 * Every way in which IoT Hub, edgeAgent, edgeHub, the API proxy or the registry module would refuse `manifest`, full or
 * layered. Paths are JSON pointers into it; no message shows a value.
 */
export function checkDeployment(manifest: unknown): readonly Problem[] {
  const layered = isLayered(manifest);
  const modules = modulesOf(manifest);
  return [
    ...(layered ? layeredProblems : fullProblems)(manifest),
    ...checkSections(manifest),
    ...[...systemModulesOf(manifest), ...modules].flatMap(checkSettings),
    ...credentialsOf(manifest).flatMap(checkAddress),
    ...routesOf(manifest).flatMap((route) => checkRoute(route, layered ? undefined : modules)),
    ...(layered ? [] : modules.flatMap((module) => checkProxy(module, modules))),
    ...checkRegistry(manifest).problems,
  ];
}

/** edgeAgent replaces `$upstream` only where a port follows (NestedEdgeParentUrlParser). */
const upstreamRule = 'where it begins with $upstream, a port must follow: $upstream:8000';
const imageShape = /^(?:\$upstream:[1-9]\d{0,4}\/)?[a-zA-Z0-9][\w.:/@-]*$/;

function checkSettings(module: NamedEntry): readonly Problem[] {
  const settings = property(module, 'settings');
  const image = property(settings, 'image');
  const text = textOf(image);
  const message = `must be an image reference; ${upstreamRule}/…`;
  return [
    ...(text === undefined || text === '' || imageShape.test(text) ? [] : [{ path: image.path, message }]),
    ...(isJsonObject(settings.value) ? checkCreateOptions(settings.value, settings.path) : []),
  ];
}

function checkAddress(credentials: NamedEntry): readonly Problem[] {
  const { path, value } = property(credentials, 'address');
  if (typeof value !== 'string' || value === '') return [];
  const upstream = /^\$upstream(:.+)$/.exec(value);
  if (isEndpoint(upstream ? `upstream${upstream[1] ?? ''}` : value)) return [];
  return [{ path, message: `must be host[:port]; ${upstreamRule}` }];
}

/** A route that names a module which is not deployed carries nothing. Layers below are not known here. */
function checkRoute(entry: NamedEntry, modules: readonly NamedEntry[] | undefined): readonly Problem[] {
  const place = typeof entry.value === 'string' ? entry : property(entry, 'route');
  const text = textOf(place);
  if (text === undefined) return [];
  const route = parseRoute(text);
  if (!route) return [{ path: place.path, message: `must be ${routeRule}` }];
  return route.modules
    .filter((name) => modules && !modules.some((module) => module.name === name))
    .map((name) => ({ path: place.path, message: `names the module ${name}, which this manifest does not run` }));
}

/** nginx looks its backend up once, as it starts: a name that does not exist yet is fatal to the API proxy. */
function checkProxy(proxy: NamedEntry, modules: readonly NamedEntry[]): readonly Problem[] {
  const address = environmentOf(proxy).find(({ name }) => name === 'CONNECTED_ACR_ROUTE_ADDRESS');
  if (address === undefined) return [];
  const backend = modules.find(({ name }) => name === String(address.value).split(':')[0]);
  if (!backend) return [{ path: address.path, message: 'must be <module>:<port> of a module in this manifest' }];
  if (startupOrderOf(backend) < startupOrderOf(proxy)) return [];
  const message = `must be lower than that of ${proxy.name}, which looks up this module's name once, when it starts`;
  return [{ path: `${backend.path}/startupOrder`, message }];
}

function startupOrderOf(module: NamedEntry): number {
  const { value } = property(module, 'startupOrder');
  return typeof value === 'number' ? value : 2 ** 32 - 1;
}
