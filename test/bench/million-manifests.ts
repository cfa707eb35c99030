import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fillStore, repositoryAt } from './many-manifests.ts';
import type { Stage } from './stage.ts';

const repositories = 1000;
const manifestsEach = 1000;

/** A directory whose data volume holds a million tagged images in a thousand repositories; made in some minutes. */
export function millionManifests(stage: Stage): Promise<string> {
  return stage.once('million manifests', async () => {
    const directory = stage.million ?? (await stage.directory('million'));
    if (existsSync(join(directory, 'data'))) return directory;
    const contents = Array.from({ length: repositories }, (_, index) => [repositoryAt(index), manifestsEach] as const);
    await fillStore(join(directory, 'data'), contents);
    return directory;
  });
}
