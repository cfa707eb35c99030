import { RegistryError } from '../errors.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { manifestBytesLimit, parseManifest } from '../oci/manifest.ts';
import type { ImageTarget, WholeBlobs } from '../oci/registry.ts';
import { linkBlob } from './blob-links.ts';
import type { GroupCommit } from './group-commit.ts';
import { deleteManifest, deleteTag, putManifest, type Author } from './image-changes.ts';
import type { ImageReader } from './image-reader.ts';
import type { StoreTarget } from './store.ts';

export interface ImageTargetOptions {
  readonly commit: GroupCommit;
  readonly reader: ImageReader;
  readonly beginBlob: ImageTarget['beginBlob'];
  readonly wholeBlobs: WholeBlobs;
  /** Asked at the moment of each change. */
  readonly author: () => Author;
}

/** The store as something to write to, on behalf of `author`. */
export function createImageTarget({ commit, reader, beginBlob, wholeBlobs, author }: ImageTargetOptions): StoreTarget {
  return {
    async hasManifest(repository, digest) {
      return (await reader.findManifest(repository, digest)) !== undefined;
    },
    async hasBlob(repository, digest) {
      return (await reader.statBlob(repository, digest)) !== undefined;
    },

    async mountBlob(repository, digest) {
      if (!(await reader.holdsBlob(digest))) return false;
      return commit.transact((write) => {
        const blob = write.get(write.tables.blob, digest);
        if (!blob) return false;
        linkBlob(write, repository, digest, blob.sizeBytes);
        return true;
      });
    },

    beginBlob,
    wholeBlobs,

    async putManifest(repository, manifest, { tag, moreTags = [], absent } = {}) {
      const { digest, bytes, mediaType } = manifest;
      if (bytes.length > manifestBytesLimit) {
        throw new RegistryError('MANIFEST_TOO_LARGE', { detail: { limitBytes: manifestBytesLimit } });
      }
      const computed = digestOf(bytes, algorithmOf(digest));
      if (computed !== digest) {
        throw new RegistryError('DIGEST_INVALID', { detail: { provided: digest, computed } });
      }
      const content = parseManifest(bytes, mediaType);
      await commit.transact((write) => {
        for (const one of [tag, ...moreTags]) {
          putManifest(write, repository, manifest, content, {
            author: author(),
            ...(one !== undefined && { tag: one }),
            ...(absent && { absent }),
          });
        }
      });
    },

    deleteTag: (repository, tag) => commit.transact((write) => deleteTag(write, repository, tag, author())),
    deleteManifest: (repository, digest) =>
      commit.transact((write) => deleteManifest(write, repository, digest, author())),
  };
}
