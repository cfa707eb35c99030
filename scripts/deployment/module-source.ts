import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The platforms of IoT Edge images, as module.json and iotedgedev name them. */
export const platforms = ['amd64', 'arm64v8', 'arm32v7'] as const;
export type Platform = (typeof platforms)[number];

export function isPlatform(text: string): text is Platform {
  return (platforms as readonly string[]).includes(text);
}

/** A folder of `modules/` with its module.json, as read and not yet checked. */
export interface ModuleSource {
  /** Relative to the template, `modules/registry`; its last part is the name in `${MODULES.registry}`. */
  readonly directory: string;
  readonly document: unknown;
}

/** Every `modules/*` under `root` that holds a module.json; none without `modules`. Rejects when one is no JSON. */
export async function readModules(root: string): Promise<readonly ModuleSource[]> {
  const folders = (await ifThere(readdir(join(root, 'modules')))) ?? [];
  const found = await Promise.all(folders.map((name) => readModule(root, `modules/${name}`)));
  return found.filter((source) => source !== undefined);
}

async function readModule(root: string, directory: string): Promise<ModuleSource | undefined> {
  const file = join(root, directory, 'module.json');
  const text = await ifThere(readFile(file, 'utf8'));
  if (text === undefined) return undefined;
  try {
    return { directory, document: JSON.parse(text) as unknown };
  } catch (cause) {
    throw new Error(`${file} is not JSON`, { cause });
  }
}

async function ifThere<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
