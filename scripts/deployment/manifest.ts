import { property, root, type Entry } from '../../modules/registry/src/settings/entries.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';

/** Reading a manifest that may be broken: what is not of the expected kind reads as empty. */

const desired = 'properties.desired';

export interface NamedEntry extends Entry {
  readonly name: string;
}

/** Each part of `modulesContent`: `$edgeAgent`, `$edgeHub` and the modules. */
export function contentsOf(manifest: unknown): readonly NamedEntry[] {
  return entriesOf(property(root(manifest), 'modulesContent'));
}

/** A layered deployment sets single places by dotted keys; a full one sets the whole of each section. */
export function isLayered(manifest: unknown): boolean {
  const agent = contentsOf(manifest).find(({ name }) => name === '$edgeAgent');
  return agent !== undefined && entriesOf(agent).some(({ name }) => name.startsWith(`${desired}.`));
}

/** The modules edgeAgent is to run, but for its own two. */
export function modulesOf(manifest: unknown): readonly NamedEntry[] {
  return placesOf(manifest, '$edgeAgent', 'modules');
}

export function systemModulesOf(manifest: unknown): readonly NamedEntry[] {
  return placesOf(manifest, '$edgeAgent', 'systemModules');
}

export function routesOf(manifest: unknown): readonly NamedEntry[] {
  return placesOf(manifest, '$edgeHub', 'routes');
}

export function credentialsOf(manifest: unknown): readonly NamedEntry[] {
  return placesOf(manifest, '$edgeAgent', 'runtime', 'settings', 'registryCredentials');
}

/** A variable edgeAgent gives this module: its `value`. */
export function environmentOf(module: Entry): readonly NamedEntry[] {
  return entriesOf(property(module, 'env')).map((entry) => ({ ...property(entry, 'value'), name: entry.name }));
}

/** What stands under `path` of a section, whole or by dotted keys of one more part. */
function placesOf(manifest: unknown, section: string, ...path: readonly string[]): readonly NamedEntry[] {
  return contentsOf(manifest)
    .filter(({ name }) => name === section)
    .flatMap((content) => {
      const prefix = `${desired}.${path.join('.')}.`;
      const single = entriesOf(content)
        .filter(({ name }) => name.startsWith(prefix) && !name.slice(prefix.length).includes('.'))
        .map((entry) => ({ ...entry, name: entry.name.slice(prefix.length) }));
      return [...entriesOf(path.reduce(property, property(content, desired))), ...single];
    });
}

/** The properties of an object. */
export function entriesOf(entry: Entry): readonly NamedEntry[] {
  if (!isJsonObject(entry.value)) return [];
  return Object.keys(entry.value).map((name) => ({ ...property(entry, name), name }));
}
