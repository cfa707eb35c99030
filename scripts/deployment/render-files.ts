import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseJsonWithComments } from '../../modules/registry/src/settings/parse-json-with-comments.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Variables } from '../../modules/registry/src/settings/variables.ts';
import { applyCommand, describeDeployment } from './describe-deployment.ts';
import { isPlatform, platforms, readModules, type Platform } from './module-source.ts';
import { readVariables } from './read-variables.ts';
import { renderDeployment } from './render-deployment.ts';

export const renderUsage =
  'npm run render -- [--template deployment.template.json] [--env .env] [--platform amd64|arm64v8|arm32v7] [--output config/]';

export interface RenderedFile {
  readonly file: string;
  /** For a person; no secrets. */
  readonly description: readonly string[];
  readonly command: string;
}

/** Refused input: each line names a file, a place in it and the rule. */
export class RenderError extends Error {
  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
  }
}

/**
 * Renders a template as the command line says and writes `<output>/deployment.<platform>.json`, readable by its owner
 * only, since it holds passwords. Variables of `environment` win over the .env file. Rejects with RenderError for what
 * is refused; then nothing is written.
 */
export async function renderFiles(commandLine: readonly string[], environment: Variables): Promise<RenderedFile> {
  const { values } = parseArgs({
    args: [...commandLine],
    options: {
      template: { type: 'string', default: 'deployment.template.json' },
      env: { type: 'string' },
      platform: { type: 'string' },
      output: { type: 'string', default: 'config' },
    },
  });
  const template = await readTemplate(values.template);
  const variables = { ...(await variablesFrom(values.env)), ...environment };
  const platform = platformFrom(values.platform, variables);
  const modules = await readModules(dirname(values.template));
  const rendered = renderDeployment({ template, variables, modules, platform });
  if (!rendered.ok) throw refused(values.template, rendered.problems);
  const { manifest } = rendered;
  const file = join(values.output, manifestName(values.template, platform));
  await mkdir(values.output, { recursive: true });
  // An older file keeps its mode; a new one is its owner's only.
  await rm(file, { force: true });
  await writeFile(file, `${JSON.stringify(manifest, undefined, 2)}\n`, { mode: 0o600 });
  return { file, description: describeDeployment(manifest), command: applyCommand(manifest, file) };
}

/** A template file: JSON, comments and trailing commas allowed. Rejects with RenderError. */
export async function readTemplate(file: string): Promise<unknown> {
  const parsed = parseJsonWithComments(await textOf(file));
  if (!parsed.ok) throw new RenderError([`${file}: ${parsed.message}`]);
  return parsed.value;
}

/** `deployment.nested.template.json` to `deployment.nested.amd64.json`. */
export function manifestName(template: string, platform: Platform): string {
  const name = basename(template).replace(/(?:\.template)?\.jsonc?$/, '');
  return `${name}.${platform}.json`;
}

/** Without `--env`, a .env that is not there holds nothing. */
async function variablesFrom(file: string | undefined): Promise<Variables> {
  const name = file ?? '.env';
  let text: string;
  try {
    text = await readFile(name, 'utf8');
  } catch (error) {
    if (file === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw unreadable(name, error);
  }
  const read = readVariables(text);
  if (!read.ok) throw new RenderError(read.problems.map(({ path, message }) => `${name}: line ${path} ${message}`));
  return read.variables;
}

function platformFrom(option: string | undefined, variables: Variables): Platform {
  const platform = option ?? (variables['DEFAULT_PLATFORM'] || 'amd64');
  if (isPlatform(platform)) return platform;
  const what = option === undefined ? 'DEFAULT_PLATFORM' : '--platform';
  throw new RenderError([`${what} must be one of ${platforms.join(', ')}`]);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): RenderError {
  return new RenderError([`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`]);
}

function refused(template: string, problems: readonly Problem[]): RenderError {
  const lines = problems.map(({ path, message }) => `${template}: ${path} ${message}`);
  const undefinedOnes = problems.some(({ message }) => message.startsWith('variable '));
  return new RenderError(
    undefinedOnes ? [...lines, 'Variables come from .env; .env.example names all of them.'] : lines,
  );
}
