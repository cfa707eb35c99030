import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { createSyncEngine } from '../../modules/registry/src/sync/engine.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { run } from '../helpers/program.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { startDockerRegistry } from './contenders.ts';
import type { Stage } from './stage.ts';
import type { Work } from './work.ts';

const MiB = 1024 * 1024;
const [layers, layerBytes] = [4, 64 * MiB];
const cutEveryBytes = 16 * MiB;
const name = repository('bench/sync');

/**
 * First syncs of one image of four layers of 64 MiB from docker-registry into an empty, durable store. Ours is the
 * sync engine with its store in the bench's own process, from its sources.
 */
export function syncs(stage: Stage): Work[] {
  const parent = () => stage.once('sync parent', () => openParent(stage));
  return [
    {
      name: 'SHA-256 of 64 MiB, one thread',
      unit: 'MB/s',
      goal: { finishes: true },
      measure: { ours: async () => hashRate(await stage.bytes(layerBytes)) },
    },
    {
      name: 'first sync of 4 × 64 MiB from docker-registry',
      unit: 'MB/s',
      goal: { timesSkopeo: 2 },
      measure: {
        ours: async () => (layers * layerBytes) / 1e6 / (await syncSeconds(stage, await parent())),
        skopeo: async () => (layers * layerBytes) / 1e6 / (await skopeoSeconds(stage, await parent())),
      },
    },
    {
      name: 'the same over a link cut every 16 MiB: bytes on it ÷ bytes needed',
      unit: '×',
      goal: { atMost: 1.01 },
      rounds: 1,
      measure: {
        async ours() {
          const proxy = await startFaultProxy(await parent());
          try {
            void proxy.fail(/^GET .*\/blobs\//, { kind: 'cut', afterBytes: cutEveryBytes });
            await syncSeconds(stage, proxy.host);
            return proxy.passedBytes / (layers * layerBytes);
          } finally {
            await proxy.close();
          }
        },
      },
    },
  ];
}

/** host:port of a docker-registry with the image. */
async function openParent(stage: Stage): Promise<string> {
  const registry = stage.keep(await startDockerRegistry({ directory: await stage.directory('sync-parent') }));
  const host = new URL(registry.url).host;
  const client = connectTo(host);
  const bytes = await stage.bytes(layerBytes);
  const contents = Array.from({ length: layers }, (_, index) => {
    const layer = Buffer.from(bytes);
    layer[0] = index;
    return layer;
  });
  await pushImage(client, name, sampleImage(contents), tag('1'));
  await client.close();
  return host;
}

function connectTo(endpoint: string) {
  return connectParent({ endpoint, protocol: 'http', clock: systemClock, log: new RecordingLog() });
}

async function syncSeconds(stage: Stage, host: string): Promise<number> {
  const directory = join(await stage.directory('sync'), 'data');
  const log = new RecordingLog();
  const store = await openStore({ directory, clock: systemClock, log });
  const began = performance.now();
  const engine = createSyncEngine({
    store,
    connect: () => connectTo(host),
    clock: systemClock,
    log,
    onStatus: () => wake(),
  });
  let wake = (): void => undefined;
  const synced = new Promise<void>((resolve) => {
    wake = () => {
      if (engine.status().inSync) resolve();
    };
  });
  try {
    const parsed = parseSettings({
      mode: 'ReadOnly',
      repositories: [name],
      parent: { gatewayEndpoint: host, protocol: 'http' },
    });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    engine.apply(parsed.settings, { active: true });
    await synced;
    return (performance.now() - began) / 1000;
  } finally {
    await engine.close();
    await store.close();
    await rm(directory, { recursive: true });
  }
}

/** To a directory: skopeo has no store of its own. Made durable, as ours is. */
async function skopeoSeconds(stage: Stage, host: string): Promise<number> {
  const directory = await stage.directory('skopeo');
  const began = performance.now();
  await run(
    'skopeo',
    'sync',
    '--src',
    'docker',
    '--dest',
    'dir',
    '--src-tls-verify=false',
    `${host}/${name}`,
    directory,
  );
  await run('sync', '--file-system', directory);
  const seconds = (performance.now() - began) / 1000;
  await rm(directory, { recursive: true });
  return seconds;
}

function hashRate(bytes: Buffer): number {
  const began = performance.now();
  createHash('sha256').update(bytes).digest();
  return bytes.length / 1e3 / (performance.now() - began);
}
