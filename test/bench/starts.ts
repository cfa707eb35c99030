import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { launchDockerRegistry, launchOurs, type Contender, type StartOptions } from './contenders.ts';
import { millionManifests } from './million-manifests.ts';
import type { Stage } from './stage.ts';
import type { Work } from './work.ts';

const rounds = 7;

/** From the moment the process is started to its first answer over HTTP. */
export function starts(stage: Stage): Work[] {
  const empty = (launch: (options: StartOptions) => Promise<Contender>) => async () => {
    const directory = await stage.directory('start');
    await rm(directory, { recursive: true });
    return timeOf(await launch({ directory: await stage.directory('start') }));
  };
  return [
    {
      name: 'start until it answers, empty',
      unit: 'ms',
      goal: { atMost: 300 },
      rounds,
      measure: { ours: empty(launchOurs), 'docker-registry': empty(launchDockerRegistry) },
    },
    {
      name: 'start until it answers, with 1 M manifests',
      unit: 'ms',
      goal: { atMost: 1000 },
      rounds,
      measure: { ours: async () => timeOf(await launchOurs({ directory: await millionManifests(stage) })) },
    },
  ];
}

async function timeOf({ url, program, startedMs }: Contender): Promise<number> {
  try {
    while (!(await answers(url))) await delay(2);
    return performance.now() - startedMs;
  } finally {
    await program.stop();
  }
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(`${url}/v2/`, { agent: false }, (response) => {
      response.resume();
      resolve(true);
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}
