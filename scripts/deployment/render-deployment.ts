import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Variables } from '../../modules/registry/src/settings/variables.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';
import type { Json, JsonObject } from '../../modules/registry/src/twin/twin.ts';
import { checkDeployment } from './check-deployment.ts';
import { registryModule } from './check-registry.ts';
import { splitCreateOptions } from './create-options.ts';
import { moduleImage } from './module-image.ts';
import type { ModuleSource, Platform } from './module-source.ts';
import { expandPlaceholders, isVariableName, type Lookup } from './placeholders.ts';

export interface RenderOptions {
  /** The template, parsed: `readTemplate`. */
  readonly template: unknown;
  /** For `${NAME}`: `readVariables`. The template's own `$variables` win. */
  readonly variables: Variables;
  /** For `${MODULES.…}`: `readModules`. */
  readonly modules: readonly ModuleSource[];
  readonly platform: Platform;
  /** Instead of what the template says under `connectedregistry` / `properties.desired`. */
  readonly desired?: JsonObject;
}

export type RenderedDeployment =
  | { readonly ok: true; readonly manifest: JsonObject }
  /** Paths are JSON pointers, the same in the template and the manifest. */
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Variables the renderer itself reads, beside those that templates name. */
export const rendererVariables = ['CONTAINER_TAG', 'DEFAULT_PLATFORM'] as const;

/**
 * Template to manifest, as `iotedgedev genconfig` would: placeholders replaced, createOptions split, keys that are the
 * template's own removed. What comes out has passed `checkDeployment`. Never throws; problems never show a value.
 */
export function renderDeployment(options: RenderOptions): RenderedDeployment {
  const { template, modules, platform, desired } = options;
  if (!isJsonObject(template)) return { ok: false, problems: [{ path: '', message: 'must be an object' }] };
  const own = template['$variables'] ?? {};
  const problems: Problem[] = [];
  const outer = variableLookup(options.variables);
  const variables = { ...options.variables, ...ownVariables(own, outer, problems) };
  const variable = variableLookup(variables);
  const containerTag = variables['CONTAINER_TAG'];
  const lookup: Lookup = (expression) =>
    moduleImage(expression, { modules, platform, variable, containerTag }) ?? variable(expression);
  const content = without(template, '$schema-template', '$variables');
  // The template's desired properties go before their placeholders are looked up; those handed over have none.
  const source = desired ? withDesired(content, {}) : content;
  const expanded = splitCreateOptions(expandPlaceholders(source, lookup, problems), problems);
  const manifest = desired && isJsonObject(expanded) ? withDesired(expanded, desired) : expanded;
  // What could not be replaced would fail the check again, in words that lead astray.
  if (problems.length === 0) problems.push(...checkDeployment(manifest));
  return problems.length === 0 && isJsonObject(manifest) ? { ok: true, manifest } : { ok: false, problems };
}

function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries<Json>(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

function variableLookup(variables: Variables): Lookup {
  return (expression) => {
    if (!isVariableName(expression)) return { problem: `\${${expression}} is neither a variable nor a module` };
    const text = Object.hasOwn(variables, expression) ? variables[expression] : undefined;
    if (text === undefined) return { problem: `variable ${expression} is not defined` };
    const [unfilled] = /<password of [^<>]+>/.exec(text) ?? [];
    return unfilled === undefined ? { text } : { problem: `variable ${expression} still says ${unfilled}` };
  };
}

function ownVariables(own: Json, outer: Lookup, problems: Problem[]): Variables {
  const path = '/$variables';
  const expanded = expandPlaceholders(own, outer, problems, path);
  if (isStrings(expanded)) return expanded;
  problems.push({ path, message: 'must be an object of strings' });
  return {};
}

function isStrings(value: Json): value is Readonly<Record<string, string>> {
  return isJsonObject(value) && Object.values(value).every((inner) => typeof inner === 'string');
}

function withDesired(content: JsonObject, desired: JsonObject): JsonObject {
  const { modulesContent } = content;
  if (!isJsonObject(modulesContent)) return content;
  return { ...content, modulesContent: { ...modulesContent, [registryModule]: { 'properties.desired': desired } } };
}
