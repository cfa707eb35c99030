import { readFile } from 'node:fs/promises';
import type { JsonObject } from '../../../modules/registry/src/twin/twin.ts';
import { readModules, type ModuleSource, type Platform } from '../../../scripts/deployment/module-source.ts';
import { readVariables } from '../../../scripts/deployment/read-variables.ts';
import { readTemplate } from '../../../scripts/deployment/render-files.ts';
import { renderDeployment, type RenderOptions } from '../../../scripts/deployment/render-deployment.ts';

export const root = new URL('../../../', import.meta.url).pathname;
export const templates = [
  'deployment.template.json',
  'deployment.nested.template.json',
  'deployment.layered.template.json',
] as const;
export type TemplateName = (typeof templates)[number];

export const modules: readonly ModuleSource[] = await readModules(root);

/** What .env.example says, with passwords filled in. */
export const variables = await readExample();

async function readExample(): Promise<Readonly<Record<string, string | undefined>>> {
  const example = await readFile(`${root}.env.example`, 'utf8');
  const read = readVariables(example.replaceAll(/<password of [^>]*>/g, 'a-password'));
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.variables;
}

export interface SampleOptions extends Partial<RenderOptions> {
  readonly name?: TemplateName;
}

/** A template of this repository, filled in from .env.example for amd64; throws when it is refused. */
export async function renderSample(options: SampleOptions = {}): Promise<JsonObject> {
  const rendered = await tryRender(options);
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.problems, undefined, 1));
  return rendered.manifest;
}

export async function tryRender(options: SampleOptions = {}): Promise<ReturnType<typeof renderDeployment>> {
  const { name = 'deployment.template.json', ...rest } = options;
  const platform: Platform = 'amd64';
  const template = await readTemplate(root + name);
  return renderDeployment({ template, variables, modules, platform, ...rest });
}

/** A copy of `document` in which `value` stands at `path`; undefined takes the key out. */
export function changed(document: unknown, path: readonly (string | number)[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const copy = structuredClone(document) as Record<string | number, unknown>;
  const inner = changed(copy[key] ?? {}, rest, value);
  if (inner === undefined) Reflect.deleteProperty(copy, key);
  else copy[key] = inner;
  return copy;
}
