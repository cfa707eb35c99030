import type { Digest } from '../oci/digest.ts';
import { parseManifest, type Manifest } from '../oci/manifest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Transaction } from './transaction.ts';
import { keyWithin, relationKey, suspectKey } from './layout.ts';
import type { ManifestRow } from './rows.ts';
import { addSuspect, clearSuspect } from './suspects.ts';

/** From now on `manifest` needs its blobs and children; those that are absent on purpose too, should they come. */
export function addReferences(
  write: Transaction,
  repository: RepositoryName,
  manifest: Digest,
  content: Pick<Manifest, 'blobs' | 'manifests'>,
): void {
  for (const digest of partsOf(content)) {
    write.put(write.tables.needed, relationKey(repository, digest, manifest), true);
    clearSuspect(write, suspectKey('link', repository, digest));
    clearSuspect(write, suspectKey('manifest', repository, digest));
  }
}

/** `manifest` is gone: what it needed may be needed by nothing now. */
export function dropReferences(
  write: Transaction,
  repository: RepositoryName,
  manifest: Digest,
  row: ManifestRow,
): void {
  const { needed, link, manifest: manifests } = write.tables;
  for (const digest of partsOf(contentOf(row))) {
    write.delete(needed, relationKey(repository, digest, manifest));
    const key = keyWithin(repository, digest);
    if (write.get(link, key)) addSuspect(write, suspectKey('link', repository, digest));
    if (write.get(manifests, key)) addSuspect(write, suspectKey('manifest', repository, digest));
  }
}

function partsOf({ blobs, manifests }: Pick<Manifest, 'blobs' | 'manifests'>): Set<Digest> {
  return new Set([...blobs, ...manifests].map(({ digest }) => digest));
}

/** A manifest damaged on the disk can still be deleted; what it needed then stays. */
function contentOf({ bytes, mediaType }: ManifestRow): Pick<Manifest, 'blobs' | 'manifests'> {
  try {
    return parseManifest(bytes, mediaType);
  } catch {
    return { blobs: [], manifests: [] };
  }
}
