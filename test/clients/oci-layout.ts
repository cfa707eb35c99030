import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Descriptor, Platform } from '../../modules/registry/src/oci/manifest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { descriptorOf } from '../helpers/images.ts';
import { run } from '../helpers/program.ts';

/**
 * Writes an OCI image layout that tools take: real tar layers, one file each, an index when there are several
 * platforms. Copy it with skopeo as `oci:<directory>:<tag>`.
 */
export async function writeOciLayout(
  directory: string,
  image: { readonly tag: string; readonly text: string; readonly platforms: readonly Platform[] },
): Promise<void> {
  const blobs = join(directory, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const keep = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
    const descriptor = descriptorOf(bytes, mediaType);
    await writeFile(join(blobs, descriptor.digest.slice('sha256:'.length)), bytes);
    return descriptor;
  };
  const keepJson = (value: unknown, mediaType: string): Promise<Descriptor> =>
    keep(Buffer.from(JSON.stringify(value)), mediaType);

  const manifests = await Promise.all(
    image.platforms.map(async (platform) => {
      const tar = await tarOf(`${image.text} on ${platform.os}/${platform.architecture}\n`);
      const layer = await keep(gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip');
      const config = await keepJson(
        {
          ...platform,
          created: '2026-11-24T09:00:00Z',
          config: {},
          rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(tar).digest('hex')}`] },
        },
        'application/vnd.oci.image.config.v1+json',
      );
      const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
      return { ...(await keepJson(manifest, mediaTypes.ociManifest)), platform };
    }),
  );
  const [only] = manifests;
  const root =
    manifests.length === 1 && only
      ? only
      : await keepJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  const entry = { ...root, annotations: { 'org.opencontainers.image.ref.name': image.tag } };
  await writeFile(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
}

/** A tar archive with the one file `hello`. */
async function tarOf(content: string): Promise<Buffer> {
  const directory = await mkdtemp('/tmp/connected-registry-layer-');
  try {
    await writeFile(join(directory, 'hello'), content);
    await run('tar', '--create', '--file', join(directory, 'layer.tar'), '--directory', directory, 'hello');
    return await readFile(join(directory, 'layer.tar'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
