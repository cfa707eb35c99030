import { pushLoad, touchMemory, type PushLoad } from './push.ts';
import { pushByWrk } from './push-by-wrk.ts';
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
  ];
  const large = works.map(({ name, goal, load }) => {
    const measure = (side: ServerSide) => async () => (await pushLoad(await stage.contender(side), load)) / 1e6;
    return {
      name,
      unit: 'MB/s' as const,
      goal: { timesDockerRegistry: goal },
      measure: { ours: measure('ours'), 'docker-registry': measure('docker-registry') },
    };
  });
  const small = [
    { name: 'push 1 MiB, 8 at once', goal: 2.5, sizeBytes: MiB, connections: 8, perSecond: 2_000 },
    { name: 'push 1 KB, 32 at once', goal: 20, sizeBytes: 1024, connections: 32, perSecond: 20_000 },
  ].map(({ name, goal, sizeBytes, connections, perSecond }) => {
    const rounds = { ours: 0, 'docker-registry': 0 };
    const measure = (side: keyof typeof rounds) => async () => {
      const blobs = perSecond * stage.seconds;
      rounds[side] += 1;
      // Fresh memory is slow the first time it is touched: that time is neither contender's.
      await touchMemory(Math.min(512 * MiB, blobs * sizeBytes));
      return pushByWrk(await stage.contender(side), {
        ...{ directory: await stage.directory('wrk-pushes'), round: `${name} ${rounds[side]}` },
        ...{ shared: await stage.bytes(sizeBytes), blobs, connections, seconds: stage.seconds },
      });
    };
    return {
      name,
      unit: '/s' as const,
      goal: { timesDockerRegistry: goal },
      measure: { ours: measure('ours'), 'docker-registry': measure('docker-registry') },
    };
  });
  return [...large, ...small];
}
