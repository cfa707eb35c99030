import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { descriptorOf, pushBlob, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { run } from '../helpers/program.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { startDockerRegistry } from './contenders.ts';
import { touchMemory } from './push.ts';
import { peakMb } from './resident.ts';
import type { Stage } from './stage.ts';
import { launchChild } from './syncing-child.ts';
import type { Work } from './work.ts';

const MiB = 1024 * 1024;
/** Two images of 1 GiB. */
const setBytes = 1024 * MiB;
const layered = { name: 'bench/layers', layerBytes: 64 * MiB };
const large = { name: 'bench/large', layerBytes: 256 * MiB };
const cutEveryBytes = 16 * MiB;

/**
 * First syncs of an image of 1 GiB from docker-registry into an empty, durable store, by the build as a process of its
 * own: from its launch until its pass has ended.
 */
export function syncs(stage: Stage): Work[] {
  const parent = () => stage.once('sync parent', () => openParent(stage));
  const plain: Synced[] = [];
  const sync = async () => {
    const synced = await syncOnce(stage, await parent(), layered.name);
    plain.push(synced);
    return synced;
  };
  const overCuts = () => stage.once('sync over cuts', async () => syncOverCuts(stage, await parent()));
  return [
    {
      name: 'SHA-256 of 64 MiB, one thread',
      unit: 'MB/s',
      goal: { finishes: true },
      measure: { ours: async () => hashRate(await stage.bytes(layered.layerBytes)) },
    },
    {
      name: 'first sync of 16 × 64 MiB from docker-registry',
      unit: 'MB/s',
      goal: { timesSkopeo: 2 },
      measure: {
        ours: async () => setBytes / 1e6 / (await sync()).seconds,
        skopeo: async () => setBytes / 1e6 / (await skopeoSeconds(stage, await parent())),
      },
    },
    {
      name: 'first sync of 4 × 256 MiB over a link cut every 16 MiB: bytes on it ÷ bytes needed',
      unit: '×',
      goal: { atMost: 1.01 },
      rounds: 1,
      measure: { ours: async () => (await overCuts()).passedBytes / setBytes },
    },
    {
      name: 'resident while it syncs them, peak of both',
      unit: 'MB',
      goal: { atMost: 150 },
      rounds: 1,
      measure: {
        async ours() {
          if (plain.length === 0) await sync();
          return Math.max((await overCuts()).residentMb, ...plain.map(({ residentMb }) => residentMb));
        },
      },
    },
  ];
}

interface Synced {
  readonly seconds: number;
  readonly residentMb: number;
}

/** host:port of a docker-registry with both images. */
async function openParent(stage: Stage): Promise<string> {
  const registry = stage.keep(await startDockerRegistry({ directory: await stage.directory('sync-parent') }));
  const endpoint = new URL(registry.url).host;
  const client = connectParent({ endpoint, protocol: 'http', clock: systemClock, log: new RecordingLog() });
  for (const { name, layerBytes } of [layered, large]) {
    const { manifest, blobs } = sampleImage([]);
    for (const config of blobs) await pushBlob(client, repository(name), config);
    const content = Buffer.from(await stage.bytes(layerBytes));
    const layers = [];
    for (let layer = 0; layer < setBytes / layerBytes; layer += 1) {
      content[0] = layer;
      await pushBlob(client, repository(name), content);
      layers.push(descriptorOf(content, 'application/vnd.oci.image.layer.v1.tar'));
    }
    const document = JSON.parse(String(manifest.bytes)) as object;
    const bytes = Buffer.from(JSON.stringify({ ...document, layers }));
    const stored = { digest: digestOf(bytes), mediaType: mediaTypes.ociManifest, bytes };
    await client.putManifest(repository(name), stored, { tag: tag('1') });
  }
  await client.close();
  return endpoint;
}

async function syncOnce(stage: Stage, endpoint: string, name: string): Promise<Synced> {
  const directory = await stage.directory('sync');
  await touchMemory(setBytes);
  const child = await launchChild({ directory, parent: { endpoint }, repositories: [name] });
  try {
    let seconds = NaN;
    const residentMb = await peakMb(child.program, async () => {
      await child.passEnded();
      seconds = (performance.now() - child.startedMs) / 1000;
    });
    return { seconds, residentMb };
  } finally {
    await child.program.stop();
    await rm(directory, { recursive: true });
  }
}

async function syncOverCuts(stage: Stage, endpoint: string) {
  const proxy = await startFaultProxy(endpoint);
  try {
    void proxy.fail(/^GET .*\/blobs\//, { kind: 'cut', afterBytes: cutEveryBytes });
    const { residentMb } = await syncOnce(stage, proxy.host, large.name);
    return { residentMb, passedBytes: proxy.passedBytes };
  } finally {
    await proxy.close();
  }
}

/** To a directory: skopeo has no store of its own. Made durable, as ours is. */
async function skopeoSeconds(stage: Stage, endpoint: string): Promise<number> {
  const directory = await stage.directory('skopeo');
  await touchMemory(setBytes);
  const began = performance.now();
  const from = ['--src', 'docker', '--src-tls-verify=false', `${endpoint}/${layered.name}`];
  await run('skopeo', 'sync', '--dest', 'dir', ...from, directory);
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
