import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { parseManifest, type Descriptor } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ManifestRecord } from '../store/descriptions.ts';
import type { Store } from '../store/store.ts';
import { answerJson } from './answer.ts';
import { readAttributes } from './attributes.ts';
import type { Exchange } from './exchange.ts';
import { takeOrderedPage } from './ordered-page.ts';

interface ManifestParameters {
  readonly name: RepositoryName;
  readonly digest: Digest;
}

/** Larger configs than this are not looked into for a platform. */
const configBytesLimit = 1024 * 1024;
const configMediaTypes: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig];

/** Manifests with sizes, platforms and tags (`az acr manifest list-metadata`). */
export async function listAcrManifests(exchange: Exchange, { name }: Pick<ManifestParameters, 'name'>): Promise<void> {
  const { query, response, store, origin } = exchange;
  if (!(await store.hasRepository(name))) throw new RegistryError('NAME_UNKNOWN', { detail: { name } });
  const { rows, link } = await takeOrderedPage({
    query,
    path: `/acr/v1/${name}/_manifests`,
    rows: (start) => store.describeManifests(name, start),
    isWanted: (row) => store.locks.of(name, row.digest).listEnabled,
    nameOf: (row) => row.digest,
    timeOf: (row) => row.added,
  });
  const manifests = [];
  for (const row of rows) manifests.push(await manifestJson(store, name, row));
  answerJson(response, 200, { registry: origin.host, imageName: name, manifests }, link);
}

export async function getAcrManifest(exchange: Exchange, { name, digest }: ManifestParameters): Promise<void> {
  const { response, store, origin } = exchange;
  const record = (await store.describeManifest(name, digest)) ?? refuse(digest);
  const manifest = await manifestJson(store, name, record);
  answerJson(response, 200, { registry: origin.host, imageName: name, manifest });
}

/** Locks or unlocks a manifest. */
export async function changeAcrManifest(exchange: Exchange, { name, digest }: ManifestParameters): Promise<void> {
  const changes = await readAttributes(exchange);
  if (!(await exchange.store.locks.change(name, digest, changes))) refuse(digest);
  await getAcrManifest(exchange, { name, digest });
}

/** `imageSize`: bytes of everything the manifest names itself. A manifest never changes, so neither does its time. */
async function manifestJson(store: Store, name: RepositoryName, { digest, mediaType, added, tags }: ManifestRecord) {
  const stored = await store.findManifest(name, digest);
  const content = stored && parseManifest(stored.bytes, mediaType);
  const named = content ? [...content.blobs, ...content.manifests] : [];
  const config = content?.blobs[0];
  return {
    digest,
    imageSize: named.reduce((sum, { size }) => sum + size, 0),
    createdTime: added.toISOString(),
    lastUpdateTime: added.toISOString(),
    ...(config && (await platformIn(store, name, config))),
    mediaType,
    ...(config && { configMediaType: config.mediaType }),
    tags,
    changeableAttributes: store.locks.of(name, digest),
  };
}

/** Where an image says what it runs on; nothing for other artifacts. */
async function platformIn(
  store: Store,
  name: RepositoryName,
  config: Descriptor,
): Promise<{ readonly architecture?: string; readonly os?: string }> {
  if (!configMediaTypes.includes(config.mediaType) || config.size > configBytesLimit) return {};
  const content = await store.readBlob(name, config.digest);
  if (!content) return {};
  try {
    const chunks = (await content.toArray()) as Buffer[];
    const { architecture, os } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
    return { ...(typeof architecture === 'string' && { architecture }), ...(typeof os === 'string' && { os }) };
  } catch {
    return {}; // not JSON: nothing can be told of it
  }
}

function refuse(digest: Digest): never {
  throw new RegistryError('MANIFEST_UNKNOWN', { detail: { reference: digest } });
}
