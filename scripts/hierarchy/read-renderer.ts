import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Variables } from '../../modules/registry/src/settings/variables.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';
import { readModules } from '../deployment/module-source.ts';
import { readVariables } from '../deployment/read-variables.ts';
import { renderDeployment } from '../deployment/render-deployment.ts';
import { readTemplate } from '../deployment/render-files.ts';
import { upstream } from './layer-variables.ts';
import type { Render } from './plan-hierarchy.ts';

export interface RendererOptions {
  /** Holds the templates and `modules/`. */
  readonly directory: string;
  /** The `.env` of all layers; undefined: `.env` where it is there. */
  readonly env: string | undefined;
  readonly environment: Variables;
}

/** Renders the top template for a layer below the cloud registry and the nested one for all others. */
export async function readRenderer({ directory, env, environment }: RendererOptions): Promise<Render> {
  const top = await readTemplate(join(directory, 'deployment.template.json'));
  const nested = await readTemplate(join(directory, 'deployment.nested.template.json'));
  const modules = await readModules(directory);
  const shared = { ACR_REGISTRY_LOGIN_SERVER: '', ...(await sharedVariables(env)), ...environment };
  return ({ platform }, { desired, gateway, variables }) =>
    renderDeployment({
      template: gateway ? below(upstream(gateway), nested) : top,
      variables: { ...shared, ...variables },
      modules,
      platform,
      desired,
    });
}

/** The template with the parent's port in the names of images. */
function below(server: string, template: unknown): unknown {
  if (!isJsonObject(template)) return template;
  const own = isJsonObject(template['$variables']) ? template['$variables'] : {};
  return { ...template, $variables: { ...own, CONTAINER_REGISTRY_SERVER: server } };
}

async function sharedVariables(env: string | undefined): Promise<Variables> {
  const file = env ?? '.env';
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (env === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  const read = readVariables(text);
  if (read.ok) return read.variables;
  throw new Error(read.problems.map(({ path, message }) => `${file}: line ${path} ${message}`).join('\n'));
}
