import { applyScript } from './apply-script.ts';
import { cleanUpScript } from './clean-up-script.ts';
import { formatVariables } from './layer-variables.ts';
import type { Plan } from './plan-hierarchy.ts';
import type { PlanChanges } from './plan-changes.ts';
import { platforms } from '../deployment/module-source.ts';
import { stateFileName, type LayerState, type State } from './state.ts';

/** A file below the output directory, readable by its owner only. */
export interface OutputFile {
  readonly path: string;
  readonly text: string;
  readonly executable?: boolean;
}

export interface OutputFiles {
  /** In the order in which they are to be written: the state, which remembers the rest, last. */
  readonly written: readonly OutputFile[];
  readonly removed: readonly string[];
  /** Directories that may be empty now. */
  readonly emptied: readonly string[];
}

export const environmentFile = (name: string): string => `${name}/.env`;
export const cleanUpFile = (name: string): string => `clean-up-${name}.sh`;
export const applyFile = 'apply.sh';

/** Every file of a plan, and those of earlier plans that go. The same plan gives the same files. */
export function outputFiles({ layers }: Plan, { removed, moved }: PlanChanges, before: State): OutputFiles {
  const state: State = { version: 1, layers: layers.map((layer) => layer.state) };
  const devices = new Map(before.layers.map(({ name, device }) => [name, device]));
  // A layer that moved keeps its token in the cloud.
  const gone: readonly LayerState[] = [...removed, ...moved.map((old) => ({ ...old, cloud: undefined }))];
  const cleanedUp = gone.map(({ name }) => name);
  return {
    written: [
      ...layers.flatMap(({ layer: { name }, state: { desired, platform }, variables, manifest }) => [
        json(`${name}/desired-properties.json`, desired),
        ...(variables ? [{ path: environmentFile(name), text: formatVariables(variables) }] : []),
        ...(manifest ? [json(manifestFile({ name, platform }), manifest)] : []),
      ]),
      script(applyFile, applyScript(state.layers, { env: environmentFile, manifest: manifestFile })),
      ...gone.map((layer) => script(cleanUpFile(layer.name), cleanUpScript(layer, devices.get(layer.parent ?? '')))),
      json(stateFileName, state),
    ],
    removed: [
      ...layers.flatMap(({ state: { name, platform }, variables }) => [
        ...otherManifests(name, platform),
        // A password that counts no more would pass for the new one.
        ...(variables ? [] : [environmentFile(name)]),
      ]),
      ...removed.flatMap(({ name }) => [
        `${name}/desired-properties.json`,
        environmentFile(name),
        ...platforms.map((platform) => manifestFile({ name, platform })),
      ]),
      // A layer that is back on its device is not to be cleaned up.
      ...layers
        .filter(({ before: old, layer: { name } }) => !old && !cleanedUp.includes(name))
        .map(({ layer: { name } }) => cleanUpFile(name)),
    ],
    emptied: removed.map(({ name }) => name),
  };
}

export function manifestFile({ name, platform }: Pick<LayerState, 'name' | 'platform'>): string {
  return `${name}/deployment.${platform}.json`;
}

function otherManifests(name: string, platform: LayerState['platform']): string[] {
  return platforms.filter((other) => other !== platform).map((other) => manifestFile({ name, platform: other }));
}

function json(path: string, value: unknown): OutputFile {
  return { path, text: `${JSON.stringify(value, undefined, 2)}\n` };
}

function script(path: string, text: string): OutputFile {
  return { path, text, executable: true };
}
