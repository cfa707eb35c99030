import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { benchRepository, startDockerRegistry, startOurs, type Contender } from './contenders.ts';
import { fillStore, repositoryAt, tagAt } from './many-manifests.ts';
import type { Stage } from './stage.ts';
import type { Side, Work } from './work.ts';
import { load } from './wrk.ts';

const tags = 100_000;
const repositories = 10_000;
/** docker-registry takes long for one answer. */
const shortestSeconds = 5;

/** A page of 100 from the middle of a long list. docker-registry 2.8.2 answers with all tags, whatever was asked. */
export function listings(stage: Stage): Work[] {
  const pages = (path: string): Work['measure'] => {
    const measure = (side: 'ours' | 'docker-registry') => async () => {
      const { url, headers } = await stage.once(`listings ${side}`, () => open(stage, side));
      const directory = await stage.directory('wrk');
      const seconds = Math.max(stage.seconds, shortestSeconds);
      return (await load({ directory, url, headers, paths: [path], connections: 8, seconds })).requestsPerSecond;
    };
    return { ours: measure('ours'), 'docker-registry': measure('docker-registry') };
  };
  return [
    {
      name: 'tags, a page of 100 among 100,000',
      unit: '/s',
      goal: { timesDockerRegistry: 4 },
      measure: pages(`/v2/${benchRepository}/tags/list?n=100&last=${tagAt(tags / 2)}`),
    },
    {
      name: 'catalog, a page of 100 among 10,000',
      unit: '/s',
      goal: { timesDockerRegistry: 6 },
      measure: pages(`/v2/_catalog?n=100&last=${repositoryAt(repositories / 2)}`),
    },
  ];
}

async function open(stage: Stage, side: Side): Promise<Contender> {
  const directory = await stage.directory(`listings-${side}`);
  if (side === 'ours') {
    await fillStore(join(directory, 'data'), contents());
    return stage.keep(await startOurs({ directory }));
  }
  await layOut(join(directory, 'content/docker/registry/v2/repositories'));
  return stage.keep(await startDockerRegistry({ directory }));
}

function* contents(): Generator<readonly [string, number]> {
  yield [benchRepository, tags];
  for (let index = 0; index < repositories; index += 1) yield [repositoryAt(index), 1];
}

/** What docker-registry looks at when it lists: a directory for each tag, `_layers` in each repository. */
async function layOut(root: string): Promise<void> {
  const digest = `sha256:${'0'.repeat(64)}`;
  for (const [name, count] of contents()) {
    await mkdir(join(root, name, '_layers'), { recursive: true });
    for (let index = 0; index < count; index += 1) {
      const tag = join(root, name, '_manifests/tags', tagAt(index), 'current');
      await mkdir(tag, { recursive: true });
      await writeFile(join(tag, 'link'), digest);
    }
  }
}
