import type { Problem } from '../../modules/registry/src/settings/settings.ts';

/** The platforms of IoT Edge images, as `iotedgedev` and module.json name them. */
export const platforms = ['amd64', 'arm64v8', 'arm32v7'] as const;
export type Platform = (typeof platforms)[number];

export function isPlatform(text: string): text is Platform {
  return (platforms as readonly string[]).includes(text);
}

/** A folder of `modules/` with its module.json, as read. */
export interface ModuleSource {
  /** Relative to the template, `modules/registry`; its last part is the name in `${MODULES.registry}`. */
  readonly directory: string;
  readonly document: unknown;
}

/** Every `modules/*` of `root` that holds a module.json; paths of problems are file names. */
export type ReadModules =
  | { readonly ok: true; readonly modules: readonly ModuleSource[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };
