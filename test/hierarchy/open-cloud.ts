import { join } from 'node:path';
import { startCloud, type Cloud } from '../helpers/cloud.ts';
import { cloudAccount } from './layer-settings.ts';
import type { Stage } from './stage.ts';

/** This product as the cloud, with the connected registry `registryBelow` as its one child, in a folder of the stage. */
export function openCloud(stage: Stage, registryBelow: string): Promise<Cloud> {
  const directory = join(stage.directory, 'cloud');
  return stage.open(startCloud({ kind: 'connected-registry', directory, account: cloudAccount, registryBelow }));
}
