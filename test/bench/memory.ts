import { setTimeout as delay } from 'node:timers/promises';
import { startEdgeSite } from '../helpers/edge-site.ts';
import { basic, benchSettings, blobPath, pushContent, startOurs, type Contender } from './contenders.ts';
import { repositoryAt, tagAt } from './many-manifests.ts';
import { millionManifests } from './million-manifests.ts';
import { pushLoad } from './push.ts';
import { peakMb, residentMb } from './resident.ts';
import type { Stage } from './stage.ts';
import type { ServerSide, Work } from './work.ts';
import { load } from './wrk.ts';

const MiB = 1024 * 1024;
/** For what the start left behind to be collected. */
const settleMs = 5_000;

/** Resident memory inside IoT Edge, connected to a hub by the Azure SDK; in one process, one row after the other. */
export function memory(stage: Stage): Work[] {
  const inside = (side: ServerSide): Promise<Contender> =>
    side === 'ours'
      ? stage.once('inside IoT Edge', async () => startInside(stage, await stage.directory('edge')))
      : stage.contender(side);
  const peak = (work: (contender: Contender) => Promise<unknown>): Work['measure'] => {
    const measure = (side: ServerSide) => async () => {
      const contender = await inside(side);
      return peakMb(contender.program, () => work(contender));
    };
    return { ours: measure('ours'), 'docker-registry': measure('docker-registry') };
  };
  const rest = async (contender: Contender): Promise<number> => {
    await delay(settleMs);
    return residentMb(contender.program);
  };
  return [
    {
      name: 'resident at rest inside IoT Edge',
      unit: 'MB',
      goal: { atMost: 85 },
      rounds: 1,
      measure: { ours: async () => rest(await inside('ours')) },
    },
    {
      name: 'resident at 8 × 64 MiB GET, peak',
      unit: 'MB',
      goal: { atMost: 120 },
      rounds: 1,
      measure: peak(async (contender) => {
        const { url, headers } = contender;
        const paths = [blobPath(await pushContent(contender, await stage.bytes(64 * MiB)))];
        await load({ directory: await stage.directory('wrk'), url, headers, paths, connections: 8, seconds: 5 });
      }),
    },
    {
      name: 'resident at 4 × 64 MiB push, peak',
      unit: 'MB',
      goal: { atMost: 150 },
      rounds: 1,
      measure: peak((contender) => pushLoad(contender, { sizeBytes: 64 * MiB, count: 16, concurrency: 4 })),
    },
    {
      name: 'resident with 1 M manifests, after 2,000 pulls of them',
      unit: 'MB',
      goal: { atMost: 170 },
      rounds: 1,
      measure: {
        ours: async () => {
          const contender = await startInside(stage, await millionManifests(stage));
          await readManifests(contender);
          return rest(contender);
        },
      },
    },
  ];
}

async function startInside(stage: Stage, directory: string): Promise<Contender> {
  const moduleId = 'registry';
  const site = await startEdgeSite({ modules: [moduleId] });
  stage.closing(() => site.close());
  site.hub.replaceDesired(moduleId, await benchSettings());
  const contender = stage.keep(await startOurs({ directory, environment: site.variables(moduleId) }));
  await site.hub.waitFor((hub) => hub.twin(moduleId).reported['version'] !== undefined, 30_000);
  return contender;
}

/** A thousand repositories, two tags of each. */
async function readManifests({ url }: Contender): Promise<void> {
  for (let index = 0; index < 2000; index += 1) {
    const path = `/v2/${repositoryAt(index % 1000)}/manifests/${tagAt((index * 487) % 1000)}`;
    const answer = await fetch(`${url}${path}`, { headers: { authorization: basic } });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
  }
}
