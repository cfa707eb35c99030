import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { Reference, RepositoryName } from '../oci/names.ts';
import type { StoredManifest } from '../oci/registry.ts';
import type { OpenBlob } from '../store/store.ts';

/**
 * Asked, on behalf of a caller who may read the repository, for what is not here. Undefined: it is nowhere.
 * May throw UNAVAILABLE.
 */
export interface OnMiss {
  findManifest(repository: RepositoryName, reference: Reference): Promise<StoredManifest | undefined>;
  statBlob(repository: RepositoryName, digest: Digest): Promise<{ readonly size: number } | undefined>;
  openBlob(repository: RepositoryName, digest: Digest): Promise<OpenBlob | undefined>;
  /** For a child that asks for it: what sync is bringing here. */
  openArriving?(repository: RepositoryName, digest: Digest): OpenBlob | undefined;
  /** In digest order; undefined: those here are all. */
  listReferrers(repository: RepositoryName, subject: Digest): Promise<readonly Descriptor[] | undefined>;
}

const nothing = (): Promise<undefined> => Promise.resolve(undefined);

/** What is not here is nowhere. */
export const nothingElsewhere: OnMiss = {
  ...{ findManifest: nothing, statBlob: nothing, openBlob: nothing, listReferrers: nothing },
};
