import { posix } from 'node:path';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { schemaProblems } from './schema-check.ts';
import { expandText, type Lookup } from './placeholders.ts';
import type { ModuleSource, Platform } from './module-source.ts';

interface ModuleDocument {
  readonly image: {
    readonly repository: string;
    readonly tag: { readonly version: string; readonly platforms: Readonly<Record<string, string>> };
  };
}

const text = { type: 'string', minLength: 1 };

/** module.json as far as image names need it (VS Code and iotedgedev convention). */
const moduleProblems = schemaProblems({
  type: 'object',
  required: ['image'],
  properties: {
    image: {
      type: 'object',
      required: ['repository', 'tag'],
      properties: {
        repository: text,
        tag: {
          type: 'object',
          required: ['version', 'platforms'],
          properties: { version: text, platforms: { type: 'object', additionalProperties: text } },
        },
      },
    },
  },
});

export interface ModuleImageOptions {
  readonly modules: readonly ModuleSource[];
  readonly platform: Platform;
  readonly variable: Lookup;
  /** Appended to the version: `CONTAINER_TAG`. */
  readonly containerTag: string | undefined;
}

/**
 * `MODULES.<name>` or `MODULEDIR<path>`, each with `.<platform>`, `.debug` or `.<platform>.debug` behind it or not, to
 * `<repository>:<version>[-<CONTAINER_TAG>]-<platform>`. Undefined for another expression.
 */
export function moduleImage(expression: string, options: ModuleImageOptions): ReturnType<Lookup> | undefined {
  const match = /^(?:MODULES\.([A-Za-z0-9_-]+)|MODULEDIR<([^<>]+)>)(?:\.(.+))?$/.exec(expression);
  if (!match) return undefined;
  const [, name, path, suffix] = match;
  const directory = posix.normalize(path ?? `modules/${name ?? ''}`).replace(/\/$/, '');
  const source = options.modules.find((candidate) => candidate.directory === directory);
  if (!source) return { problem: `\${${expression}} names ${directory}, which holds no module.json` };
  const document = checked(source);
  if ('problem' in document) return document;
  const { repository, tag } = document.image;
  const platform = platformOf(suffix, options.platform);
  if (!Object.hasOwn(tag.platforms, platform)) {
    const known = Object.keys(tag.platforms).join(', ');
    return { problem: `\${${expression}} asks for the platform ${platform}; ${directory}/module.json has ${known}` };
  }
  const problems: Problem[] = [];
  const expanded = expandText(repository, options.variable, problems, '');
  const [problem] = problems;
  if (problem) return { problem: `${problem.message} (${directory}/module.json, image.repository)` };
  const version = [tag.version, options.containerTag, platform].filter(Boolean).join('-');
  return { text: `${expanded}:${version}` };
}

function platformOf(suffix: string | undefined, platform: Platform): string {
  if (suffix === undefined) return platform;
  return suffix === 'debug' ? `${platform}.debug` : suffix;
}

function checked({ directory, document }: ModuleSource): ModuleDocument | { readonly problem: string } {
  const [problem] = moduleProblems(document);
  if (problem) return { problem: `${directory}/module.json: ${problem.path} ${problem.message}` };
  return document as ModuleDocument;
}
