import { closeSync, createReadStream, fstatSync, openSync } from 'node:fs';
import { addAbortSignal, Readable } from 'node:stream';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import { isDigest, type RepositoryName, type Tag } from '../oci/names.ts';
import type { Log } from '../status/log.ts';
import { fallbackReferrers } from './fallback-referrers.ts';
import {
  blobPath,
  idOf,
  keyWithin,
  fallbackTagRange,
  rangeWithin,
  relationRange,
  smallBlobBytes,
  type Tables,
} from './layout.ts';
import { openBytes, openFile, type BlobFile } from './open-blob.ts';
import { hasCode } from './storage-error.ts';
import type { Damage, Store } from './store.ts';

export type ImageReader = Pick<
  Store,
  | 'listRepositories'
  | 'listTags'
  | 'listReferrers'
  | 'resolveTag'
  | 'findManifest'
  | 'hasRepository'
  | 'hasReferrers'
  | 'statBlob'
  | 'holdsBlob'
  | 'openBlob'
  | 'readBlob'
>;

export interface ImageReaderOptions {
  readonly directory: string;
  readonly tables: Tables;
  readonly log: Log;
  readonly onDamage?: ((damage: Damage) => void) | undefined;
  /** Called before it is told that a blob is here: who asks may rely on it instead of sending it. */
  readonly renewLink: (repository: RepositoryName, digest: Digest) => Promise<void>;
}

/** Large reads: a default stream of 64 KB costs twice the processor time a byte. */
const readAheadBytes = 512 * 1024;

/** Everything that is only read. Reads never wait for writers. */
export function createImageReader({ directory, tables, log, onDamage, renewLink }: ImageReaderOptions): ImageReader {
  return {
    /** Those with a manifest; one that holds only blobs exists, but there is nothing to pull from it. */
    async *listRepositories({ after = '', signal } = {}) {
      for await (const [name, row] of tables.repository.iterator({ gt: after, ...(signal && { signal }) })) {
        if (row.manifests > 0) yield name as RepositoryName;
      }
    },

    async *listTags(repository, { after, signal } = {}) {
      const range = rangeWithin(repository, after);
      for await (const [key, { digest }] of tables.tag.iterator({ ...range, ...(signal && { signal }) })) {
        yield { tag: idOf(key) as Tag, digest };
      }
    },

    async *listReferrers(repository, subject, { signal } = {}) {
      const others = fallbackReferrers(tables, repository, subject);
      const range = relationRange(repository, subject);
      for await (const referrer of tables.referrer.values({ ...range, ...(signal && { signal }) })) {
        for (let next = others[0]; next && next.digest < referrer.digest; next = others[0]) {
          others.shift();
          yield next;
        }
        yield referrer;
      }
      yield* others;
    },

    async hasReferrers(repository) {
      const [referrers, fallbackTags] = await Promise.all([
        tables.referrer.keys({ ...rangeWithin(repository), limit: 1 }).all(),
        tables.tag.keys({ ...fallbackTagRange(repository), limit: 1 }).all(),
      ]);
      return referrers.length + fallbackTags.length > 0;
    },

    resolveTag: (repository, tag) => answer(() => tables.tag.getSync(keyWithin(repository, tag))?.digest),

    /** A manifest whose bytes have another digest is damaged: it is told, and as good as not there. */
    findManifest: (repository, reference) =>
      answer(() => {
        const digest = isDigest(reference) ? reference : tables.tag.getSync(keyWithin(repository, reference))?.digest;
        const row = digest && tables.manifest.getSync(keyWithin(repository, digest));
        if (!row) return undefined;
        const { mediaType, bytes } = row;
        if (digestOf(bytes, algorithmOf(digest)) === digest) return { digest, mediaType, bytes };
        tellDamage(repository, digest, 'the bytes of the manifest have another digest');
        return undefined;
      }),

    hasRepository: (repository) => answer(() => tables.repository.getSync(repository) !== undefined),

    async statBlob(repository, digest) {
      if (sizeOf(repository, digest) === undefined) return undefined;
      await renewLink(repository, digest);
      const size = sizeOf(repository, digest); // it may have gone meanwhile
      return size === undefined ? undefined : { size };
    },

    holdsBlob: (digest) => answer(() => tables.blob.getSync(digest) !== undefined),

    openBlob: (repository, digest) =>
      answer(() => {
        const content = findContent(repository, digest);
        return content && (Buffer.isBuffer(content) ? openBytes(content) : openFile(content));
      }),

    async readBlob(repository, digest, { offset = 0, signal } = {}) {
      signal?.throwIfAborted();
      const found = await answer(() => findContent(repository, digest));
      if (!found) return undefined;
      if (Buffer.isBuffer(found)) return Readable.from(offset < found.length ? [found.subarray(offset)] : []);
      const content = createReadStream('', { fd: found.fd, start: offset, highWaterMark: readAheadBytes });
      return signal ? addAbortSignal(signal, content) : content;
    },
  };

  /** Undefined unless the blob is linked in this repository. */
  function sizeOf(repository: RepositoryName, digest: Digest): number | undefined {
    const isLinked = tables.link.getSync(keyWithin(repository, digest)) !== undefined;
    return isLinked ? tables.blob.getSync(digest)?.sizeBytes : undefined;
  }

  /**
   * The bytes of a small blob, which nothing but their digest protects, or the open file of a large one. That outlives
   * its removal, so that who has begun to pull a blob gets all of it.
   */
  function findContent(repository: RepositoryName, digest: Digest): Buffer | BlobFile | undefined {
    const size = sizeOf(repository, digest);
    if (size === undefined) return undefined;
    const bytes = size <= smallBlobBytes ? tables.content.getSync(digest) : undefined;
    if (bytes) {
      if (digestOf(bytes, algorithmOf(digest)) === digest) return bytes;
      tellDamage(repository, digest, 'the content of the blob has another digest');
      return undefined;
    }
    let fd: number; // opened and closed at once, which costs less than the thread that would do it
    try {
      fd = openSync(blobPath(directory, digest), 'r');
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      if (sizeOf(repository, digest) !== undefined) tellDamage(repository, digest, 'the file of the blob is missing');
      return undefined;
    }
    const lengthBytes = fstatSync(fd).size;
    if (lengthBytes === size) return { fd, size };
    closeSync(fd);
    tellDamage(repository, digest, `the file of the blob has ${lengthBytes} bytes instead of ${size}`);
    return undefined;
  }

  /** It is answered as if it were not here: half of something, or something else, is worse than nothing. */
  function tellDamage(repository: RepositoryName, digest: Digest, problem: string): void {
    log.error('something stored is damaged', { repository, digest, problem });
    onDamage?.({ repository, digest, problem });
  }
}

/** A look-up that takes microseconds, as a promise. */
function answer<T>(look: () => T): Promise<T> {
  return new Promise((resolve) => resolve(look()));
}
