import { pushLoad, type PushLoad } from './push.ts';
import type { Stage } from './stage.ts';
import type { ServerSide, Work } from './work.ts';

const MiB = 1024 * 1024;

/** New blobs, durable before they are acknowledged. */
export function pushes(stage: Stage): Work[] {
  const works: (Pick<Work, 'name'> & { goal: number; load: PushLoad })[] = [
    { name: 'push 64 MiB', goal: 2, load: { sizeBytes: 64 * MiB, count: 4, concurrency: 1 } },
    {
      name: 'push 64 MiB in chunks of 8 MiB',
      goal: 2.2,
      load: { sizeBytes: 64 * MiB, count: 4, concurrency: 1, chunkBytes: 8 * MiB },
    },
    { name: 'push 64 MiB, 4 at once', goal: 1.4, load: { sizeBytes: 64 * MiB, count: 8, concurrency: 4 } },
    { name: 'push 1 MiB, 8 at once', goal: 2.5, load: { sizeBytes: MiB, count: 200, concurrency: 8 } },
    { name: 'push 1 KB, 32 at once', goal: 20, load: { sizeBytes: 1024, count: 1000, concurrency: 32 } },
  ];
  return works.map(({ name, goal, load }) => {
    const inBytes = load.sizeBytes > MiB;
    const measure = (side: ServerSide) => async () =>
      (await pushLoad(await stage.contender(side), load)) / (inBytes ? 1e6 : load.sizeBytes);
    return {
      name,
      unit: inBytes ? 'MB/s' : '/s',
      goal: { timesDockerRegistry: goal },
      measure: { ours: measure('ours'), 'docker-registry': measure('docker-registry') },
    };
  });
}
