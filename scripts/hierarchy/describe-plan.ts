import type { Change } from './diff-documents.ts';
import type { FileProblem } from './read-hierarchy.ts';
import { applyFile, cleanUpFile, environmentFile } from './output-files.ts';
import type { IssuedSecret } from './layer-tokens.ts';
import type { Plan } from './plan-hierarchy.ts';
import type { LayerChanges, PlanChanges } from './plan-changes.ts';

/** What a plan changes, line by line, for a person. No secrets. */
export function describePlan(plan: Plan, changes: PlanChanges, notes: readonly FileProblem[]): string[] {
  const unchanged = changes.layers.filter(({ kind }) => kind === 'unchanged').length;
  return [
    ...changes.layers.filter(({ kind }) => kind !== 'unchanged').flatMap((layer) => describeLayer(layer, plan)),
    ...changes.removed.flatMap(({ name, parent }) => [
      `${name}: removed`,
      parent === undefined
        ? `  its files go`
        : `  its files go, and ${parent} forgets it and its sync token; what layers above kept only for it goes too`,
      `  left to do is in ${cleanUpFile(name)}: deactivate it, its module, its place below its parent, its token in the cloud, its volume`,
    ]),
    ...changes.moved.map(
      ({ name, device }) => `${name}: moved; what is left to do on ${device} is in ${cleanUpFile(name)}`,
    ),
    ...(unchanged > 0 ? [`${unchanged} ${unchanged === 1 ? 'layer' : 'layers'} unchanged`] : []),
    ...notes.map((note) => `note: ${describeProblem(note)}`),
  ];
}

/** What to do once the files are written. */
export function describeNextSteps({ layers }: Plan, { removed, moved }: PlanChanges, output: string): string[] {
  const waiting = layers.filter(({ manifest }) => !manifest).map(({ layer }) => layer.name);
  return [
    ...[...removed, ...moved].map(({ name }) => `First: sh ${output}/${cleanUpFile(name)}`),
    `Next: sh ${output}/${applyFile}`,
    ...waiting.map(
      (name) =>
        `${name} waits for the password of its sync token, which ${applyFile} asks for; it is kept in ${output}/${environmentFile(name)}`,
    ),
  ];
}

export function describeSecret({ layer, token, kind, passwordName, password }: IssuedSecret): string {
  const what = `${kind} ${token} at ${layer}, ${passwordName}`;
  return password === undefined ? `will be made: ${what}` : `${what}, shown only now: ${password}`;
}

export function describeProblem({ path, message, line }: FileProblem): string {
  return [line === undefined ? '' : `line ${line}: `, path === '' ? '' : `${path} `, message].join('');
}

function describeLayer({ name, kind, changes }: LayerChanges, { layers, added }: Plan): string[] {
  const planned = layers.find(({ layer }) => layer.name === name);
  const place = planned?.layer.parent === undefined ? 'a top layer' : `below ${planned.layer.parent}`;
  const reasons = new Map(
    added
      .filter(({ layer }) => layer === name)
      .map(({ repository, reason }) => [`/repositories/${repository}`, reason]),
  );
  return [
    `${name}: ${kind}, ${place}`,
    ...changes.map((change) => `  ${describeChange(change, reasons.get(change.path))}`),
  ];
}

const marks = { added: '+', changed: '~', removed: '-' } as const;

function describeChange({ kind, path, before, after }: Change, reason: string | undefined): string {
  const value = (content: typeof before): string => (content === undefined ? '' : ` ${JSON.stringify(content)}`);
  const values =
    before === undefined ? value(after) : after === undefined ? value(before) : `${value(before)} ->${value(after)}`;
  return `${marks[kind]} ${path}${values}${reason === undefined ? '' : ` (kept for ${reason})`}`;
}
