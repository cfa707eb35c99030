import { registryModule } from '../deployment/check-registry.ts';
import { cloudCleanUp } from './cloud-commands.ts';
import { shellCommand } from './shell.ts';
import type { LayerState } from './state.ts';

/** What is left to do in the cloud and on the device for a layer that was taken out, in order. It removes itself at its end. */
export function cleanUpScript(layer: LayerState, parentDevice: string | undefined): string {
  return [
    `#!/bin/sh`,
    `# ${layer.name} was taken out of the hierarchy. Run this before apply.sh.`,
    `set -eu`,
    ``,
    `# 1. Let the name go, so that it may be deployed elsewhere.`,
    deactivation(layer),
    ``,
    `# 2. Take the module ${registryModule} out of the deployment of ${layer.device}, or the device out of the hub:`,
    `#   ${shellCommand('az', 'iot', 'hub', 'device-identity', 'delete', '--hub-name', layer.iotHub, '--device-id', layer.device)}`,
    ...parentRelation(layer, parentDevice),
    ...(layer.cloud ? [``, `# Its sync token in the cloud registry.`, ...cloudCleanUp(layer.name, layer.cloud)] : []),
    ``,
    `# Last, on ${layer.device} once the module is gone, its data volume:`,
    `#   docker volume rm connected-registry-data`,
    ``,
    `rm -- "$0"`,
    ``,
  ].join('\n');
}

/** Works for a device that is away: it deactivates when it hears of it. */
export function deactivation({ iotHub, device }: Pick<LayerState, 'iotHub' | 'device'>): string {
  const module = ['--hub-name', iotHub, '--device-id', device, '--module-id', registryModule];
  const inactive = JSON.stringify({ activation: { status: 'Inactive' } });
  return shellCommand('az', 'iot', 'hub', 'module-twin', 'update', ...module, '--desired', inactive);
}

function parentRelation({ iotHub, device }: LayerState, parentDevice: string | undefined): string[] {
  if (parentDevice === undefined) return [];
  const family = ['--hub-name', iotHub, '--device-id', parentDevice, '--child-list', device];
  return [
    ``,
    `# The device is no longer below ${parentDevice}.`,
    shellCommand('az', 'iot', 'hub', 'device-identity', 'children', 'remove', ...family),
  ];
}
