import { RegistryError } from '../errors.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { manifestBytesLimit, parseManifest } from '../oci/manifest.ts';
import { bareMediaType } from '../oci/media-types.ts';
import { isDigest, parseTag, type Reference, type RepositoryName, type Tag } from '../oci/names.ts';
import { answerBytes, answerEmpty, type Headers } from './answer.ts';
import { etagOf, isUnmodified } from './conditional.ts';
import type { Exchange } from './exchange.ts';
import { refuseUnreadable } from './lock.ts';
import { readBody } from './request-body.ts';

interface ManifestParameters {
  readonly name: RepositoryName;
  readonly reference: Reference;
}

/** [end-3] The bytes and the media type that were pushed, whatever `Accept` asks for: nothing is ever converted. */
export async function getManifest(exchange: Exchange, { name, reference }: ManifestParameters): Promise<void> {
  const { request, response, store, onMiss } = exchange;
  const stored = await store.findManifest(name, reference);
  const manifest = stored ?? (await onMiss.findManifest(name, reference)) ?? refuse(reference);
  for (const locked of [reference, manifest.digest]) refuseUnreadable(store, name, locked);
  const etag = etagOf(manifest.digest);
  const headers: Headers = {
    'Docker-Content-Digest': manifest.digest,
    ETag: etag,
    // A tag moves; a client may keep its answer, but has to ask before using it.
    'Cache-Control': isDigest(reference) ? 'private, max-age=31536000, immutable' : 'private, no-cache',
  };
  if (isUnmodified(request, etag)) answerEmpty(response, 304, headers);
  else {
    const whole = { ...headers, 'Content-Type': manifest.mediaType };
    answerBytes(response, 200, manifest.bytes, whole);
    if (stored) exchange.remember(whole, manifest.bytes);
  }
}

/** [end-7a] Stores a manifest under a tag or its digest · [end-7b] under its digest and all tags of `?tag=` or none. */
export async function putManifest(exchange: Exchange, { name, reference }: ManifestParameters): Promise<void> {
  const { request, response, store } = exchange;
  const tags = isDigest(reference) ? tagsIn(exchange.query) : [reference];
  const mediaType = bareMediaType(request.headers['content-type'] ?? '');
  const bytes = await readBody(exchange, manifestBytesLimit, 'MANIFEST_TOO_LARGE');
  const digest = digestOf(bytes, isDigest(reference) ? algorithmOf(reference) : 'sha256');
  if (isDigest(reference) && digest !== reference) {
    throw new RegistryError('DIGEST_INVALID', { detail: { digest: reference, computed: digest } });
  }
  const { subject } = parseManifest(bytes, mediaType);
  const manifest = { digest, mediaType, bytes };
  const [tag, ...moreTags] = tags;
  await store.local.putManifest(name, manifest, tag === undefined ? {} : { tag, moreTags });
  answerEmpty(response, 201, {
    Location: `/v2/${name}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(subject && { 'OCI-Subject': subject.digest }),
    ...(isDigest(reference) && tags.length > 0 && { 'OCI-Tag': tags }),
  });
}

/** [end-9] By tag: the tag only. By digest: the manifest and every tag that points at it. */
export async function deleteManifest(exchange: Exchange, { name, reference }: ManifestParameters): Promise<void> {
  const { local } = exchange.store;
  const existed = isDigest(reference)
    ? await local.deleteManifest(name, reference)
    : await local.deleteTag(name, reference);
  if (!existed) refuse(reference);
  answerEmpty(exchange.response, 202);
}

function tagsIn(query: URLSearchParams): Tag[] {
  return [...new Set(query.getAll('tag'))].map((text) => {
    const tag = parseTag(text);
    if (!tag) throw new RegistryError('TAG_INVALID', { detail: { value: text } });
    return tag;
  });
}

function refuse(reference: Reference): never {
  throw new RegistryError('MANIFEST_UNKNOWN', { detail: { reference } });
}
