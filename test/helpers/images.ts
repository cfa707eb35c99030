import { Readable } from 'node:stream';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import type { Descriptor, Platform } from '../../modules/registry/src/oci/manifest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import type { RepositoryName, Tag } from '../../modules/registry/src/oci/names.ts';
import type { ImageTarget, StoredManifest } from '../../modules/registry/src/oci/registry.ts';

/** A manifest with everything it refers to, children first. */
export interface SampleImage {
  readonly manifest: StoredManifest;
  readonly blobs: readonly Buffer[];
  readonly children: readonly SampleImage[];
}

export interface SampleOptions {
  readonly docker?: boolean;
  readonly platform?: Platform;
  readonly subject?: StoredManifest;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image of one config and the given layers (text or bytes). */
export function sampleImage(layers: readonly (string | Buffer)[], options: SampleOptions = {}): SampleImage {
  const { docker = false, platform, subject, artifactType, annotations } = options;
  const config = Buffer.from(
    JSON.stringify({ ...(platform ?? {}), created: layers.map(beginningOf).join().slice(0, 40) }),
  );
  const contents = layers.map((layer) => Buffer.from(layer));
  const document = {
    schemaVersion: 2,
    mediaType: docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest,
    ...(artifactType !== undefined && { artifactType }),
    config: descriptorOf(
      config,
      docker ? 'application/vnd.docker.container.image.v1+json' : 'application/vnd.oci.image.config.v1+json',
    ),
    layers: contents.map((layer) =>
      descriptorOf(
        layer,
        docker ? 'application/vnd.docker.image.rootfs.diff.tar.gzip' : 'application/vnd.oci.image.layer.v1.tar+gzip',
      ),
    ),
    ...(subject && { subject: descriptorOf(subject.bytes, subject.mediaType) }),
    ...(annotations && { annotations }),
  };
  return { manifest: toManifest(document), blobs: [config, ...contents], children: [] };
}

/** A layer may be longer than a string can be. */
function beginningOf(layer: string | Buffer): string {
  return typeof layer === 'string' ? layer : layer.toString('utf8', 0, 200);
}

/** An index over images; each child carries its platform. */
export function sampleIndex(
  children: readonly (readonly [Platform, SampleImage])[],
  options: { readonly docker?: boolean } = {},
): SampleImage {
  const document = {
    schemaVersion: 2,
    mediaType: options.docker ? mediaTypes.dockerList : mediaTypes.ociIndex,
    manifests: children.map(([platform, image]) => ({
      ...descriptorOf(image.manifest.bytes, image.manifest.mediaType),
      platform,
    })),
  };
  return { manifest: toManifest(document), blobs: [], children: children.map(([, image]) => image) };
}

export function descriptorOf(bytes: Buffer, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function toManifest(document: { mediaType: string }): StoredManifest {
  const bytes = Buffer.from(JSON.stringify(document, undefined, 2));
  return { digest: digestOf(bytes), mediaType: document.mediaType, bytes };
}

/** Pushes an image as a client does: blobs, children, manifest, tag. */
export async function pushImage(
  target: ImageTarget,
  repository: RepositoryName,
  image: SampleImage,
  tag?: Tag,
): Promise<void> {
  for (const child of image.children) await pushImage(target, repository, child);
  for (const blob of image.blobs) await pushBlob(target, repository, blob);
  await target.putManifest(repository, image.manifest, tag === undefined ? {} : { tag });
}

export async function pushBlob(target: ImageTarget, repository: RepositoryName, bytes: Buffer): Promise<void> {
  const digest = digestOf(bytes);
  if (await target.hasBlob(repository, digest)) return;
  const upload = await target.beginBlob(repository, { digest, size: bytes.length });
  await upload.append(Readable.from([bytes]));
  await upload.commit(digest);
}
