import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { Cancellable } from '../oci/registry.ts';
import { idOf, keyWithin, rangeWithin, type Tables } from './layout.ts';
import type { ManifestRow, RepositoryRow, TagRow } from './rows.ts';

/** What is known of repositories, tags and manifests beyond their content. Listings are in name or digest order. */
export interface Descriptions {
  /** Also those that hold only blobs so far. */
  describeRepositories(options?: PageStart): AsyncIterable<RepositoryRecord>;
  describeRepository(repository: RepositoryName): Promise<RepositoryRecord | undefined>;
  describeTags(repository: RepositoryName, options?: PageStart): AsyncIterable<TagRecord>;
  describeTag(repository: RepositoryName, tag: Tag): Promise<TagRecord | undefined>;
  describeManifests(repository: RepositoryName, options?: PageStart): AsyncIterable<ManifestRecord>;
  describeManifest(repository: RepositoryName, digest: Digest): Promise<ManifestRecord | undefined>;
}

/** Where a listing begins: after this name, which need not exist. */
export interface PageStart extends Cancellable {
  readonly after?: string;
}

export interface RepositoryRecord {
  readonly name: RepositoryName;
  readonly created: Date;
  /** The last time a blob, manifest or tag came, moved or went. */
  readonly updated: Date;
  readonly manifests: number;
  readonly tags: number;
  readonly blobs: number;
}

export interface TagRecord {
  readonly tag: Tag;
  readonly digest: Digest;
  readonly created: Date;
  /** The last time it was pointed elsewhere. */
  readonly updated: Date;
  readonly origin: 'local' | 'parent';
  /** What parent and we last agreed on; undefined before the first agreement. */
  readonly base: Digest | undefined;
}

export interface ManifestRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly added: Date;
  readonly tags: readonly Tag[];
}

export function createDescriptions({ tables }: { readonly tables: Tables }): Descriptions {
  return {
    async *describeRepositories({ after = '', signal } = {}) {
      for await (const [name, row] of tables.repository.iterator({ gt: after, ...(signal && { signal }) })) {
        yield repositoryRecord(name as RepositoryName, row);
      }
    },

    describeRepository(repository) {
      const row = tables.repository.getSync(repository);
      return Promise.resolve(row && repositoryRecord(repository, row));
    },

    async *describeTags(repository, { after, signal } = {}) {
      const range = rangeWithin(repository, after);
      for await (const [key, row] of tables.tag.iterator({ ...range, ...(signal && { signal }) })) {
        yield tagRecord(idOf(key) as Tag, row);
      }
    },

    describeTag(repository, tag) {
      const row = tables.tag.getSync(keyWithin(repository, tag));
      return Promise.resolve(row && tagRecord(tag, row));
    },

    async *describeManifests(repository, { after, signal } = {}) {
      const range = rangeWithin(repository, after);
      for await (const [key, row] of tables.manifest.iterator({ ...range, ...(signal && { signal }) })) {
        yield manifestRecord(repository, idOf(key) as Digest, row);
      }
    },

    describeManifest(repository, digest) {
      const row = tables.manifest.getSync(keyWithin(repository, digest));
      return Promise.resolve(row && manifestRecord(repository, digest, row));
    },
  };

  function manifestRecord(
    repository: RepositoryName,
    digest: Digest,
    { mediaType, added }: ManifestRow,
  ): ManifestRecord {
    const tags = tables.tagged.getSync(keyWithin(repository, digest)) ?? [];
    return { digest, mediaType, added: new Date(added), tags };
  }
}

function repositoryRecord(name: RepositoryName, { created, updated, ...counts }: RepositoryRow): RepositoryRecord {
  return { name, created: new Date(created), updated: new Date(updated), ...counts };
}

function tagRecord(tag: Tag, { digest, created, updated, origin, base }: TagRow): TagRecord {
  return { tag, digest, created: new Date(created), updated: new Date(updated), origin, base };
}
