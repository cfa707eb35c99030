import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import type { RepositoryName } from '../oci/names.ts';
import { answerJson } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { nextLink, pageRequestIn } from './page.ts';

/** An answer is a manifest to its readers, and they may refuse one of more than 4 MB. */
const pageBytesLimit = 3.5 * 1024 * 1024;

interface ReferrersParameters {
  readonly name: RepositoryName;
  readonly digest: Digest;
}

/** [end-12] What refers to a manifest, which itself need not be here; always an index, never 404. */
export async function listReferrers(exchange: Exchange, { name, digest }: ReferrersParameters): Promise<void> {
  const { query, response, store, onMiss } = exchange;
  const { limit, after } = pageRequestIn(query);
  // A media type has no space: it was a plus that nobody encoded.
  const artifactType = query.get('artifactType')?.replaceAll(' ', '+');
  const manifests: Descriptor[] = [];
  let more = false;
  let sizeBytes = 0;
  const referrers = (await onMiss.listReferrers(name, digest)) ?? store.listReferrers(name, digest);
  for await (const descriptor of limit === 0 ? [] : referrers) {
    if (after !== undefined && descriptor.digest <= after) continue;
    if (artifactType !== undefined && descriptor.artifactType !== artifactType) continue;
    sizeBytes += Buffer.byteLength(JSON.stringify(descriptor));
    if (manifests.length === limit || (manifests.length > 0 && sizeBytes > pageBytesLimit)) {
      more = true;
      break;
    }
    manifests.push(descriptor);
  }
  const last = manifests.at(-1)?.digest;
  answerJson(
    response,
    200,
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    {
      'Content-Type': mediaTypes.ociIndex,
      ...(artifactType !== undefined && { 'OCI-Filters-Applied': 'artifactType' }),
      ...(more && last && nextLink(`/v2/${name}/referrers/${digest}`, { artifactType, n: limit, last })),
    },
  );
}
