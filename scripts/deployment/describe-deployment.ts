import { property, textOf } from '../../modules/registry/src/settings/entries.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';
import { sizeBytesOf, twinLimits } from '../../modules/registry/src/twin/twin-limits.ts';
import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import { checkRegistry } from './check-registry.ts';
import { contentsOf, isLayered, modulesOf, routesOf, systemModulesOf } from './manifest.ts';

/** What a manifest deploys, line by line, for a person. Shows names, images, routes and sizes; no variable, no secret. */
export function describeDeployment(manifest: JsonObject): readonly string[] {
  const images = [...systemModulesOf(manifest), ...modulesOf(manifest)].map((module) => {
    const order = property(module, 'startupOrder').value;
    const start = typeof order === 'number' ? `, start order ${order}` : '';
    return `module ${module.name}: ${textOf(property(property(module, 'settings'), 'image')) ?? ''}${start}`;
  });
  const routes = routesOf(manifest).map((route) => {
    return `route ${route.name}: ${textOf(route) ?? textOf(property(route, 'route')) ?? ''}`;
  });
  const sizes = contentsOf(manifest).flatMap(({ name, value }) =>
    isJsonObject(value) ? [`section ${name}: ${sizeBytesOf(value)} of ${twinLimits.sectionBytes} bytes`] : [],
  );
  const warnings = checkRegistry(manifest).warnings.map(({ path, message }) => `warning: ${path} ${message}`);
  return [...images, ...routes, ...sizes, ...warnings];
}

/** The Azure CLI command that applies the manifest in `file`: to one device, or as a layer to every device it selects. */
export function applyCommand(manifest: JsonObject, file: string): string {
  if (!isLayered(manifest)) {
    return `az iot edge set-modules --hub-name <hub> --device-id <device> --content ${quoted(file)}`;
  }
  return (
    'az iot edge deployment create --layered --hub-name <hub> --deployment-id connectedregistry ' +
    `--target-condition "tags.connectedregistry='true'" --priority 10 --content ${quoted(file)}`
  );
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
