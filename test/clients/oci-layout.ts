import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import type { Descriptor, Platform } from '../../modules/registry/src/oci/manifest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { descriptorOf } from '../helpers/images.ts';
import { run } from '../helpers/program.ts';

/**
 * Writes an OCI image layout that tools take: real tar layers, one file each (`text`, then `content` and a program
 * where given), an index when there are several platforms. Copy it with skopeo as `oci:<directory>:<tag>`.
 */
export async function writeOciLayout(
  directory: string,
  image: {
    readonly tag: string;
    readonly text: string;
    readonly content?: Buffer;
    /** An executable of this machine that needs no libraries, and what a container of the image runs it with. */
    readonly program?: { readonly file: string; readonly arguments: readonly string[] };
    readonly platforms: readonly Platform[];
  },
): Promise<void> {
  const { keep, keepJson } = await beginLayout(directory);
  const manifests = await Promise.all(
    image.platforms.map(async (platform) => {
      const text = `${image.text} on ${platform.os}/${platform.architecture}\n`;
      const tars = [
        await tarOf('text', text),
        ...(image.content ? [await tarOf('content', image.content)] : []),
        ...(image.program
          ? [await tarOf(basename(image.program.file), await readFile(image.program.file), 0o755)]
          : []),
      ];
      const layers = await Promise.all(
        tars.map((tar) => keep(gzipSync(tar, { level: 1 }), 'application/vnd.oci.image.layer.v1.tar+gzip')),
      );
      const config = await keepJson(
        {
          ...platform,
          created: '2026-11-24T09:00:00Z',
          config: image.program ? { Entrypoint: [`/${basename(image.program.file)}`, ...image.program.arguments] } : {},
          rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) },
        },
        'application/vnd.oci.image.config.v1+json',
      );
      const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
      return { ...(await keepJson(manifest, mediaTypes.ociManifest)), platform };
    }),
  );
  const [only] = manifests;
  const root =
    manifests.length === 1 && only
      ? only
      : await keepJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  await finishLayout(directory, root, image.tag);
}

/** Writes a layout of an artifact that is no image: types of its own, one file. */
export async function writeArtifactLayout(
  directory: string,
  artifact: { readonly tag: string; readonly content: string },
): Promise<void> {
  const { keep, keepJson } = await beginLayout(directory);
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: 'application/vnd.example.readings',
    config: await keepJson({}, 'application/vnd.oci.empty.v1+json'),
    layers: [await keep(Buffer.from(artifact.content), 'text/csv')],
    annotations: { 'org.example.line': 'line 3' },
  };
  await finishLayout(directory, await keepJson(manifest, mediaTypes.ociManifest), artifact.tag);
}

/** Writes a layout, tagged `1`, whose index holds the images of others. */
export async function mergeLayouts(directory: string, layouts: readonly string[]): Promise<void> {
  const { keepJson } = await beginLayout(directory);
  const manifests: Descriptor[] = [];
  for (const layout of layouts) {
    await cp(join(layout, 'blobs'), join(directory, 'blobs'), { recursive: true });
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
    for (const { mediaType, digest, size, platform } of index.manifests) {
      manifests.push({ mediaType, digest, size, ...(platform && { platform }) });
    }
  }
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  await finishLayout(directory, await keepJson(index, mediaTypes.ociIndex), '1');
}

interface LayoutBlobs {
  readonly keep: (bytes: Buffer, mediaType: string) => Promise<Descriptor>;
  readonly keepJson: (value: unknown, mediaType: string) => Promise<Descriptor>;
}

async function beginLayout(directory: string): Promise<LayoutBlobs> {
  const blobs = join(directory, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const keep: LayoutBlobs['keep'] = async (bytes, mediaType) => {
    const descriptor = descriptorOf(bytes, mediaType);
    await writeFile(join(blobs, descriptor.digest.slice('sha256:'.length)), bytes);
    return descriptor;
  };
  return { keep, keepJson: (value, mediaType) => keep(Buffer.from(JSON.stringify(value)), mediaType) };
}

async function finishLayout(directory: string, root: Descriptor, tag: string): Promise<void> {
  const entry = { ...root, annotations: { 'org.opencontainers.image.ref.name': tag } };
  await writeFile(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
}

/** A tar archive with one file. */
async function tarOf(name: string, content: string | Buffer, mode = 0o644): Promise<Buffer> {
  const directory = await mkdtemp('/tmp/connected-registry-layer-');
  try {
    await writeFile(join(directory, name), content, { mode });
    await run('tar', '--create', '--file', join(directory, 'layer.tar'), '--directory', directory, name);
    return await readFile(join(directory, 'layer.tar'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
