import { RegistryError } from '../errors.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import type { WholeBlobs } from '../oci/registry.ts';
import type { BlobUploads } from './blob-uploads.ts';
import { blobUploadId, smallBlobBytes } from './layout.ts';
import { placeSmallBlob, type BlobPlace } from './place-blob.ts';

/** Small blobs in one step: a row, written in the batch that makes it visible. */
export function createWholeBlobs(
  options: BlobPlace & {
    readonly uploads: Pick<BlobUploads, 'has'>;
    /** Throws STORAGE_FULL when no more bytes should be taken. */
    readonly ensureRoom: () => Promise<void>;
  },
): WholeBlobs {
  const { uploads, ensureRoom } = options;
  return {
    limitBytes: smallBlobBytes,

    accepts: ({ digest, size }) => size <= smallBlobBytes && !uploads.has(blobUploadId(digest)),

    async put(repository, digest, bytes) {
      const computed = digestOf(bytes, algorithmOf(digest));
      if (computed !== digest) throw new RegistryError('DIGEST_INVALID', { detail: { provided: digest, computed } });
      await ensureRoom();
      await placeSmallBlob(options, { id: blobUploadId(digest), isRecorded: false, repository, digest }, bytes);
    },
  };
}
