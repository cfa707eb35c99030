import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dockerRegistryPath } from '../helpers/docker-registry.ts';
import { run } from '../helpers/program.ts';
import { blobPath, pushContent, startDockerRegistry, startOurs, type Contender } from './contenders.ts';
import { createMemoryCgroup } from './memory-cgroup.ts';
import { pushLoad } from './push.ts';
import type { Stage } from './stage.ts';
import type { Work } from './work.ts';
import { load } from './wrk.ts';

const MiB = 1024 * 1024;
const limitMs = 60_000;

/**
 * Under a memory limit as a container has it. A page of a file is charged to the group that reads it first, so the
 * program is a fresh copy and neither it nor the blobs are in the page cache when the process starts.
 */
export function memoryLimits(stage: Stage): Work[] {
  const limited = (
    limitMb: number,
    work: (contender: Contender, blobs: string[]) => Promise<number>,
  ): Work['measure'] => {
    const measure = (side: 'ours' | 'docker-registry') => () => withinLimit(stage, side, limitMb, work);
    return { ours: measure('ours'), 'docker-registry': measure('docker-registry') };
  };
  return [
    {
      name: 'in 128 MB: 8 × 64 MiB GET',
      unit: 'MB/s',
      goal: { timesDockerRegistry: 2 },
      measure: limited(128, async ({ url, headers }, blobs) => {
        const directory = await stage.directory('wrk');
        const paths = blobs.map(blobPath);
        return (await load({ directory, url, headers, paths, connections: 8, seconds: 8 })).bytesPerSecond / 1e6;
      }),
    },
    {
      name: 'in 160 MB: 4 × 64 MiB push',
      unit: 'MB/s',
      goal: { finishes: true },
      measure: limited(
        160,
        async (contender) => (await pushLoad(contender, { sizeBytes: 64 * MiB, count: 8, concurrency: 4 })) / 1e6,
      ),
    },
  ];
}

async function withinLimit(
  stage: Stage,
  side: 'ours' | 'docker-registry',
  limitMb: number,
  work: (contender: Contender, blobs: string[]) => Promise<number>,
): Promise<number> {
  const group = await createMemoryCgroup('connected-registry-bench', limitMb * MiB);
  const directory = await stage.directory(`limited-${side}`);
  const blobs = await stage.once(`limited blobs ${side}`, () => prepare(stage, side, directory));
  const binary = join(directory, 'binary');
  const start = side === 'ours' ? startOurs : startDockerRegistry;
  let contender: Contender | undefined;
  try {
    await rm(binary, { force: true });
    await copyFile(side === 'ours' ? process.execPath : dockerRegistryPath, binary);
    await run('sync');
    await forget(directory);
    contender = await start({ directory, binary, launcher: group.launcher });
    return await Promise.race([work(contender, blobs), notInTime(contender)]);
  } finally {
    await contender?.program.kill();
    await group.remove();
  }
}

/** Eight blobs, so that they do not fit into the limit together. */
async function prepare(stage: Stage, side: 'ours' | 'docker-registry', directory: string): Promise<string[]> {
  const contender = await (side === 'ours' ? startOurs : startDockerRegistry)({ directory });
  const bytes = Buffer.from(await stage.bytes(64 * MiB));
  const digests: string[] = [];
  for (let index = 0; index < 8; index += 1) {
    bytes.writeUInt8(index, 0);
    digests.push(await pushContent(contender, bytes));
  }
  await contender.program.stop();
  return digests;
}

/** Takes a directory's files out of the page cache. */
async function forget(directory: string): Promise<void> {
  await run(
    'find',
    directory,
    '-type',
    'f',
    '-size',
    '+1M',
    '-exec',
    'dd',
    'if={}',
    'iflag=nocache',
    'count=0',
    'status=none',
    ';',
  );
}

async function notInTime({ program }: Contender): Promise<never> {
  const code = await Promise.race([
    program.exited.then((value) => `ended with ${String(value)}`),
    new Promise<string>((resolve) => setTimeout(resolve, limitMs, `not finished in ${limitMs / 1000} s`).unref()),
  ]);
  throw new Error(code);
}
