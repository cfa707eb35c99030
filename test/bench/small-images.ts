import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { forEach } from '../../modules/registry/src/sync/for-each.ts';
import { pushImage, sampleImage, type SampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { tagAt } from './many-manifests.ts';

export const imagesInRepository = 100;
const layerBytes = 10 * 1024;

interface NamedImage {
  readonly name: string;
  readonly tag: string;
  readonly image: SampleImage;
}

/** So many images of a config and two layers, no blob in two of them, a hundred in each repository. */
export function* smallImages(count: number): Generator<NamedImage> {
  for (let number = 0; number < count; number += 1) {
    const layers = ['lower', 'upper'].map((layer) => compressed(`${layer} layer of image ${number}`));
    const image = sampleImage(layers, { platform: { os: 'linux', architecture: 'amd64', variant: `v${number}` } });
    yield { name: smallRepositoryAt(Math.floor(number / imagesInRepository)), tag: tagAt(number), image };
  }
}

export function smallRepositoryAt(number: number): string {
  return `bench/small${String(number).padStart(4, '0')}`;
}

/** As gzip leaves it: no store makes it smaller. The same for the same seed. */
function compressed(seed: string): Buffer {
  return createHash('shake256', { outputLength: layerBytes }).update(seed).digest();
}

/** A data volume of ours with the images. */
export async function fillOurs(dataVolume: string, images: Iterable<NamedImage>): Promise<void> {
  const store = await openStore({ directory: dataVolume, clock: systemClock, log: new RecordingLog() });
  try {
    await forEach(images, 64, (one) => pushImage(store.local, repository(one.name), one.image, tag(one.tag)));
  } finally {
    await store.close();
  }
}

/** The files docker-registry keeps of the images (distribution `registry/storage/paths.go`); a push of each takes minutes. */
export function fillDockerRegistry(directory: string, images: Iterable<NamedImage>): void {
  const root = join(directory, 'content/docker/registry/v2');
  const write = (path: string, file: string, content: Buffer | string): void => {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, file), content);
  };
  const hexOf = (digest: string): string => digest.slice('sha256:'.length);
  for (const { name, tag: tagged, image } of images) {
    const { digest, bytes } = image.manifest;
    const place = `repositories/${name}`;
    for (const content of [...image.blobs, bytes]) {
      const hex = hexOf(digestOf(content));
      write(`blobs/sha256/${hex.slice(0, 2)}/${hex}`, 'data', content);
    }
    for (const blob of image.blobs) write(`${place}/_layers/sha256/${hexOf(digestOf(blob))}`, 'link', digestOf(blob));
    write(`${place}/_manifests/revisions/sha256/${hexOf(digest)}`, 'link', digest);
    write(`${place}/_manifests/tags/${tagged}/current`, 'link', digest);
    write(`${place}/_manifests/tags/${tagged}/index/sha256/${hexOf(digest)}`, 'link', digest);
  }
}
