import { cloudCommands } from './cloud-commands.ts';
import { shellCommand } from './shell.ts';
import type { LayerState } from './state.ts';

/**
 * The commands that bring the cloud registry and IoT Hub to what was made, parents first: a parent must know a new
 * sync token before its child uses it. The script may be run again at any time. Paths are relative to it.
 */
export function applyScript(
  layers: readonly LayerState[],
  files: { env(name: string): string; manifest(layer: LayerState): string },
): string {
  const devices = new Map(layers.map(({ name, device }) => [name, device]));
  const cloud = layers.flatMap((layer) =>
    layer.cloud
      ? [
          ``,
          `# ${layer.name}: its sync token in ${layer.cloud.loginServer}`,
          ...cloudCommands(layer.name, layer.cloud, files.env(layer.name)),
        ]
      : [],
  );
  const deploy = layers.flatMap((layer) => [
    ``,
    `# ${layer.name} on ${layer.device}`,
    ...deviceCommands(layer, devices, files.manifest(layer)),
  ]);
  return [
    `#!/bin/sh`,
    `# Made by "npm run hierarchy". May be run again; needs az with the extension azure-iot, logged in.`,
    `set -eu`,
    `umask 077`,
    `cd "$(dirname "$0")"`,
    ...cloud,
    ``,
    `if [ -n "\${again-}" ]; then`,
    `  echo 'Passwords of sync tokens were made. Run "npm run hierarchy -- apply" again, then this script again.'`,
    `  exit 0`,
    `fi`,
    ...deploy,
    ``,
  ].join('\n');
}

function deviceCommands(layer: LayerState, devices: ReadonlyMap<string, string>, manifest: string): string[] {
  const { iotHub, device, parent } = layer;
  const hub = ['--hub-name', iotHub, '--device-id', device];
  const above = devices.get(parent ?? '');
  const relation = [
    'az',
    'iot',
    'hub',
    'device-identity',
    'parent',
    'set',
    ...hub,
    '--parent-device-id',
    above ?? '',
    '--force',
  ];
  return [
    ...(above === undefined ? [] : [shellCommand(...relation)]),
    shellCommand('az', 'iot', 'edge', 'set-modules', ...hub, '--content', manifest),
  ];
}
