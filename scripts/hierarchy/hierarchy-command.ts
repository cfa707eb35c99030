import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Variables } from '../../modules/registry/src/settings/variables.ts';
import { isPlatform, platforms, type Platform } from '../deployment/module-source.ts';
import { readVariables } from '../deployment/read-variables.ts';
import { describeNextSteps, describePlan, describeProblem, describeSecret } from './describe-plan.ts';
import type { IssuedSecret } from './layer-tokens.ts';
import { passwordVariable } from './layer-variables.ts';
import { environmentFile, outputFiles } from './output-files.ts';
import { issuePassword, pretendPassword } from './passwords.ts';
import { planChanges } from './plan-changes.ts';
import { planHierarchy } from './plan-hierarchy.ts';
import { readHierarchy } from './read-hierarchy.ts';
import { readRenderer } from './read-renderer.ts';
import { readState, stateFileName } from './state.ts';
import { readWishes } from './wishes.ts';
import { writeFiles } from './write-files.ts';

export const hierarchyUsage =
  'npm run hierarchy -- plan|apply hierarchy.yaml [--output config/hierarchy] [--platform amd64|arm64v8|arm32v7] ' +
  '[--env .env] [--templates .] [--rotate token] [--retire token] [--secrets-file file]';

export interface HierarchyResult {
  /** For a person; no secrets. */
  readonly report: readonly string[];
  /** Passwords that were made: shown now, and never again. */
  readonly secrets: readonly string[];
}

/**
 * `plan` tells what a hierarchy file asks for and writes nothing; `apply` writes every layer's files below `--output`.
 * Rejects with an Error whose message has a line for each thing refused; then nothing is written.
 */
export async function hierarchyCommand(
  commandLine: readonly string[],
  environment: Variables,
): Promise<HierarchyResult> {
  const options = optionsFrom(commandLine);
  const { file, output, isApply } = options;
  const refuse = (problems: readonly Problem[]): Error =>
    new Error(problems.map((problem) => `${file}: ${describeProblem(problem)}`).join('\n'));

  const read = readHierarchy(await readFile(file, 'utf8'), options);
  if (!read.ok) throw refuse(read.problems);
  const { hierarchy, locate } = read;
  const state = await readState(join(output, stateFileName));
  const planned = await planHierarchy({
    hierarchy,
    state,
    passwords: await passwordsIn(
      output,
      hierarchy.layers.map(({ name }) => name),
    ),
    wishes: readWishes(hierarchy, options.rotate, options.retire),
    issue: isApply ? issuePassword : pretendPassword,
    render: await readRenderer({ directory: options.templates, env: options.env, environment }),
  });
  if (!planned.ok) throw refuse(locate(planned.problems));
  const { plan } = planned;
  const changes = planChanges(plan, state);
  const report = describePlan(plan, changes, locate(plan.notes));
  const secrets = plan.secrets.map(describeSecret);
  if (!isApply) return { report: [...report, ...secrets], secrets: [] };
  if (options.secretsFile !== undefined) await keepSecrets(options.secretsFile, plan.secrets);
  await writeFiles(output, outputFiles(plan, changes, state));
  return { report: [...report, ...describeNextSteps(plan, changes, output)], secrets };
}

interface Options {
  readonly isApply: boolean;
  readonly file: string;
  readonly output: string;
  readonly platform?: Platform;
  readonly env: string | undefined;
  readonly templates: string;
  readonly rotate: readonly string[];
  readonly retire: readonly string[];
  readonly secretsFile: string | undefined;
}

function optionsFrom(commandLine: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...commandLine],
    allowPositionals: true,
    options: {
      output: { type: 'string', default: 'config/hierarchy' },
      platform: { type: 'string' },
      env: { type: 'string' },
      templates: { type: 'string', default: '.' },
      rotate: { type: 'string', multiple: true, default: [] },
      retire: { type: 'string', multiple: true, default: [] },
      'secrets-file': { type: 'string' },
    },
  });
  const [action, file, ...more] = positionals;
  if ((action !== 'plan' && action !== 'apply') || file === undefined || more.length > 0) {
    throw new Error('expects plan or apply, and one hierarchy file');
  }
  const { platform } = values;
  if (platform !== undefined && !isPlatform(platform))
    throw new Error(`--platform must be one of ${platforms.join(', ')}`);
  return {
    ...values,
    isApply: action === 'apply',
    file,
    env: values.env,
    secretsFile: values['secrets-file'],
    ...(platform === undefined ? { platform: undefined } : { platform }),
  };
}

/** The plain passwords of sync tokens that stand in the layers' `.env` files. */
async function passwordsIn(output: string, layers: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const layer of layers) {
    const file = join(output, environmentFile(layer));
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const read = readVariables(text);
    if (!read.ok)
      throw new Error(read.problems.map(({ path, message }) => `${file}: line ${path} ${message}`).join('\n'));
    const password = read.variables[passwordVariable];
    if (password) found.set(layer, password);
  }
  return found;
}

/** Adds to the file, which only its owner may read from now on. */
async function keepSecrets(file: string, secrets: readonly IssuedSecret[]): Promise<void> {
  const lines = secrets.map(
    ({ layer, token, passwordName, password }) => `${layer}/${token} ${passwordName} ${password ?? ''}\n`,
  );
  await writeFile(file, '', { flag: 'a', mode: 0o600 });
  await chmod(file, 0o600);
  await writeFile(file, lines.join(''), { flag: 'a' });
}
