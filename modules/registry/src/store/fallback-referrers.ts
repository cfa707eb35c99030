import type { Digest } from '../oci/digest.ts';
import { parseManifest, type Descriptor } from '../oci/manifest.ts';
import { referrersTag, type RepositoryName } from '../oci/names.ts';
import { keyWithin, type Tables } from './layout.ts';

/**
 * What a client without a referrers API listed under the fallback tag of `subject` and what is here without naming
 * its subject itself, in digest order (distribution-spec 1.1, "Enabling the Referrers API").
 */
export function fallbackReferrers(tables: Tables, repository: RepositoryName, subject: Digest): Descriptor[] {
  const listed = tables.tag.getSync(keyWithin(repository, referrersTag(subject)));
  const index = listed && tables.manifest.getSync(keyWithin(repository, listed.digest));
  if (!index) return [];
  const found = new Map<Digest, Descriptor>();
  for (const descriptor of parseManifest(index.bytes, index.mediaType).manifests) {
    const row = tables.manifest.getSync(keyWithin(repository, descriptor.digest));
    if (!row || row.subject !== undefined) continue;
    const artifactType = descriptor.artifactType ?? row.artifactType;
    found.set(descriptor.digest, { ...descriptor, ...(artifactType !== undefined && { artifactType }) });
  }
  return [...found.values()].sort((one, other) => (one.digest < other.digest ? -1 : 1));
}
