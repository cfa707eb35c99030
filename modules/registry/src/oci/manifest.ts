import { RegistryError } from '../errors.ts';
import { parseDigest, type Digest } from './digest.ts';
import { isIndex, mediaTypes } from './media-types.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  /** Non-distributable layers name other places; nobody may demand them here. */
  readonly urls?: readonly string[];
}

/** What a registry has to know of a manifest. The bytes themselves are kept exactly as they came. */
export interface Manifest {
  readonly kind: 'image' | 'index';
  readonly mediaType: string;
  /** Config and layers of an image; empty for an index. */
  readonly blobs: readonly Descriptor[];
  /** Children of an index; empty for an image. */
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  /** As the referrers API shows it: `artifactType`, else an image's config media type. */
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** distribution-spec 1.1, "Pushing Manifests": a limit of at least 4 MB. */
export const manifestBytesLimit = 4 * 1024 * 1024;

/** Making one takes longer than to decode a manifest. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a manifest of one of the four understood media types.
 * Throws RegistryError MANIFEST_INVALID naming the field that is wrong.
 */
export function parseManifest(bytes: Uint8Array, mediaType: string): Manifest {
  if (mediaType === mediaTypes.dockerSchema1 || mediaType === mediaTypes.dockerSchema1Signed) {
    throw invalid('docker manifest schema 1 is not supported; push schema 2 or OCI');
  }
  const ofImages = isIndex(mediaType);
  if (!ofImages && mediaType !== mediaTypes.ociManifest && mediaType !== mediaTypes.dockerManifest) {
    throw invalid(`media type ${JSON.stringify(mediaType)} is not a manifest this registry understands`);
  }
  const document = parseObject(bytes);
  if (document['schemaVersion'] !== 2) throw invalid('schemaVersion must be 2');
  if (document['mediaType'] !== undefined && document['mediaType'] !== mediaType) {
    throw invalid(`mediaType in the manifest differs from the Content-Type ${mediaType}`);
  }
  const blobs = ofImages
    ? []
    : [descriptorAt(document['config'], 'config'), ...descriptorsAt(document['layers'] ?? [], 'layers')];
  const manifests = ofImages ? descriptorsAt(document['manifests'], 'manifests') : [];
  const subject = document['subject'] == null ? undefined : descriptorAt(document['subject'], 'subject');
  const declared = document['artifactType'] ?? '';
  if (typeof declared !== 'string') throw invalid('artifactType must be a string');
  // distribution-spec 1.1, "Listing Referrers": empty is the same as missing.
  const artifactType = declared !== '' ? declared : ofImages ? undefined : blobs[0]?.mediaType;
  const annotations = annotationsAt(document['annotations'], 'annotations');
  return {
    kind: ofImages ? 'index' : 'image',
    mediaType,
    blobs,
    manifests,
    ...(subject && { subject }),
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  };
}

/** The media type a manifest claims for itself, for sources that send no usable Content-Type. */
export function declaredMediaType(bytes: Uint8Array): string | undefined {
  const document = parseObject(bytes);
  if (typeof document['mediaType'] === 'string') return document['mediaType'];
  if (Array.isArray(document['manifests'])) return mediaTypes.ociIndex;
  return document['config'] === undefined ? undefined : mediaTypes.ociManifest;
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new RegistryError('MANIFEST_INVALID', { message: 'manifest invalid: not JSON', cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('not a JSON object');
  return value as Record<string, unknown>;
}

function descriptorsAt(value: unknown, where: string): Descriptor[] {
  if (!Array.isArray(value)) throw invalid(`${where} must be an array`);
  return value.map((item, index) => descriptorAt(item, `${where}[${index}]`));
}

function descriptorAt(value: unknown, where: string): Descriptor {
  if (typeof value !== 'object' || value === null) throw invalid(`${where} must be a descriptor`);
  const { mediaType, digest, size, artifactType, urls, platform, annotations } = value as Record<string, unknown>;
  if (typeof mediaType !== 'string') throw invalid(`${where}.mediaType must be a string`);
  const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
  if (!parsed) throw invalid(`${where}.digest must be a sha256 or sha512 digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where}.size must be a whole number of bytes`);
  }
  const notes = annotationsAt(annotations, `${where}.annotations`);
  const place = platformOf(platform);
  return {
    mediaType,
    digest: parsed,
    size,
    ...(typeof artifactType === 'string' && { artifactType }),
    ...(notes && { annotations: notes }),
    ...(place && { platform: place }),
    ...(Array.isArray(urls) && { urls: urls.filter((url) => typeof url === 'string') }),
  };
}

/** Undefined where it is no platform. */
export function platformOf(value: unknown): Platform | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { os, architecture, variant } = value as Record<string, unknown>;
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined;
  return { os, architecture, ...(typeof variant === 'string' && { variant }) };
}

function annotationsAt(value: unknown, where: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid(`${where} must be an object`);
  if (Object.values(value).some((text) => typeof text !== 'string')) throw invalid(`${where} must hold strings`);
  return value as Record<string, string>;
}

function invalid(reason: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { message: `manifest invalid: ${reason}` });
}
