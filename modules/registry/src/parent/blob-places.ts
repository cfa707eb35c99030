import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';

/** Blobs remembered; the oldest are forgotten, which costs an upload that a mount would have saved. */
const placesLimit = 10_000;

/** Where the parent was last seen to hold a blob: what a mount has to name. */
export interface BlobPlaces {
  note(digest: Digest, repository: RepositoryName): void;
  find(digest: Digest): RepositoryName | undefined;
}

export function createBlobPlaces(): BlobPlaces {
  const places = new Map<Digest, RepositoryName>();
  return {
    note(digest, repository) {
      places.delete(digest);
      places.set(digest, repository);
      for (const oldest of places.keys()) {
        if (places.size <= placesLimit) break;
        places.delete(oldest);
      }
    },
    find: (digest) => places.get(digest),
  };
}
