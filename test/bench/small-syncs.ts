import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { run } from '../helpers/program.ts';
import { startDockerRegistry, startOurs } from './contenders.ts';
import { peakMb } from './resident.ts';
import { fillDockerRegistry, fillOurs, imagesInRepository, smallImages, smallRepositoryAt } from './small-images.ts';
import type { Stage } from './stage.ts';
import { launchChild, parentSettings, syncToken, type ParentOfChild } from './syncing-child.ts';
import type { Work } from './work.ts';
import { load } from './wrk.ts';

const images = 10_000;
/** skopeo takes minutes for all of them. */
const skopeoRepositories = 3;

/**
 * First syncs of 10,000 images of a config and two layers of 10 KB, by the build as a process of its own: from its
 * launch until its pass has ended.
 */
export function smallSyncs(stage: Stage): Work[] {
  const docker = () => stage.once('small images of docker-registry', () => dockerParent(stage));
  const fromDocker = () => stage.once('small from docker-registry', async () => syncAll(stage, await docker()));
  const fromOurs = () => stage.once('small from ours', async () => syncAll(stage, await ourParent(stage)));
  return [
    {
      name: 'first sync of 10,000 small images from docker-registry, images',
      unit: '/s',
      goal: { timesSkopeo: 5 },
      rounds: 1,
      measure: {
        ours: async () => (await fromDocker()).imagesPerSecond,
        skopeo: async () => skopeoRate(stage, (await docker()).endpoint),
      },
    },
    {
      name: 'the same asked of docker-registry by wrk, which is the most it can give, images',
      unit: '/s',
      goal: {},
      rounds: 1,
      measure: {
        'docker-registry': async () => {
          await docker();
          return dockerLimit(stage);
        },
      },
    },
    {
      name: 'first sync of 10,000 small images from a parent of ours, images',
      unit: '/s',
      goal: { atLeast: 400 },
      rounds: 1,
      measure: { ours: async () => (await fromOurs()).imagesPerSecond },
    },
    {
      name: 'resident while it syncs them, peak of both',
      unit: 'MB',
      goal: { atMost: 150 },
      rounds: 1,
      measure: { ours: async () => Math.max((await fromDocker()).residentMb, (await fromOurs()).residentMb) },
    },
  ];
}

async function dockerParent(stage: Stage): Promise<ParentOfChild> {
  const directory = await stage.directory('small-docker');
  fillDockerRegistry(directory, smallImages(images));
  const { url } = stage.keep(await startDockerRegistry({ directory }));
  return { endpoint: new URL(url).host };
}

/** Images whose four requests it answers; a process of its own, which has read none of them yet. */
async function dockerLimit(stage: Stage): Promise<number> {
  const { program, url } = await startDockerRegistry({ directory: await stage.directory('small-docker') });
  const paths = [...smallImages(images)].flatMap(({ name, tag, image }) => [
    `/v2/${name}/manifests/${tag}`,
    ...image.blobs.map((blob) => `/v2/${name}/blobs/${digestOf(blob)}`),
  ]);
  try {
    const headers = { accept: mediaTypes.ociManifest };
    const directory = await stage.directory('small-wrk');
    const { requestsPerSecond } = await load({
      directory,
      url,
      paths,
      headers,
      connections: 8,
      seconds: stage.seconds,
    });
    return requestsPerSecond / 4;
  } finally {
    await program.stop();
  }
}

async function ourParent(stage: Stage): Promise<ParentOfChild> {
  const directory = await stage.directory('small-parent');
  await fillOurs(join(directory, 'data'), smallImages(images));
  const { url } = stage.keep(await startOurs({ directory, desired: await parentSettings() }));
  return { endpoint: new URL(url).host, syncToken };
}

async function syncAll(stage: Stage, parent: ParentOfChild) {
  const directory = await stage.directory('small-child');
  const repositories = Array.from({ length: images / imagesInRepository }, (_, index) => smallRepositoryAt(index));
  const child = await launchChild({ directory, parent, repositories });
  try {
    let seconds = NaN;
    const residentMb = await peakMb(child.program, async () => {
      await child.passEnded();
      seconds = (performance.now() - child.startedMs) / 1000;
    });
    return { imagesPerSecond: images / seconds, residentMb };
  } finally {
    await child.program.stop();
    await rm(directory, { recursive: true });
  }
}

/** To a directory, a repository after the other, and made durable, as ours is. */
async function skopeoRate(stage: Stage, endpoint: string): Promise<number> {
  const directory = await stage.directory('small-skopeo');
  const began = performance.now();
  for (let number = 0; number < skopeoRepositories; number += 1) {
    const from = ['--src', 'docker', '--src-tls-verify=false', `${endpoint}/${smallRepositoryAt(number)}`];
    await run('skopeo', 'sync', '--scoped', '--dest', 'dir', ...from, directory);
  }
  await run('sync', '--file-system', directory);
  const seconds = (performance.now() - began) / 1000;
  await rm(directory, { recursive: true });
  return (skopeoRepositories * imagesInRepository) / seconds;
}
