import { Readable } from 'node:stream';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { digestOf, type Digest } from '../../modules/registry/src/oci/digest.ts';
import { parseManifest, type Descriptor } from '../../modules/registry/src/oci/manifest.ts';
import { isDigest, type Reference, type RepositoryName, type Tag } from '../../modules/registry/src/oci/names.ts';
import type {
  BlobUpload,
  Cancellable,
  PutManifestOptions,
  StoredManifest,
  TagEntry,
} from '../../modules/registry/src/oci/registry.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';

interface Contents {
  readonly manifests: Map<Digest, StoredManifest>;
  readonly tags: Map<Tag, Digest>;
  readonly blobs: Set<Digest>;
}

/** A registry in memory, for faults: `before` may throw or wait in any call, `content` may bend a blob's bytes. */
export class MemoryRegistry implements ParentRegistry {
  readonly endpoint = 'parent.example';
  /** `method repository what`, in order. */
  readonly calls: string[] = [];
  answers = 0;
  closed = false;
  before: (call: string, options: Cancellable) => void | Promise<void> = () => undefined;
  content: (bytes: Buffer, offset: number) => Readable = (bytes, offset) => Readable.from([bytes.subarray(offset)]);
  listsDigests = true;
  readonly #blobs = new Map<Digest, Buffer>();
  readonly #uploads = new Map<Digest, Buffer>();
  readonly #repositories = new Map<RepositoryName, Contents>();

  /** Calls of one method, without its name. */
  callsOf(method: string): string[] {
    return this.calls.filter((call) => call.startsWith(`${method} `)).map((call) => call.slice(method.length + 1));
  }

  #of(repository: RepositoryName): Contents {
    const known = this.#repositories.get(repository);
    if (known) return known;
    const fresh: Contents = { manifests: new Map(), tags: new Map(), blobs: new Set() };
    this.#repositories.set(repository, fresh);
    return fresh;
  }

  async #called(call: string, options: Cancellable = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.calls.push(call);
    await this.before(call, options);
    options.signal?.throwIfAborted();
    this.answers += 1;
  }

  async ping(options?: Cancellable): Promise<void> {
    await this.#called('ping', options);
  }
  /** Nothing tells from outside what is left unfinished here. */
  dropUploads: ParentRegistry['dropUploads'] = () => Promise.resolve();
  /** Undefined, as a parent without a message feed answers. */
  readMessages: ParentRegistry['readMessages'] = () => Promise.resolve(undefined);
  /** No activation here, as a parent of another kind answers. */
  activate: ParentRegistry['activate'] = () => Promise.resolve(false);
  async deactivate(options?: Cancellable): Promise<void> {
    await this.#called('deactivate', options);
  }
  async reportStatus(): Promise<void> {
    return Promise.resolve();
  }
  async close(): Promise<void> {
    this.closed = true;
  }

  async *listRepositories(options?: Cancellable): AsyncGenerator<RepositoryName> {
    await this.#called('listRepositories', options);
    yield* [...this.#repositories.keys()].sort();
  }
  async *listTags(repository: RepositoryName, options?: Cancellable): AsyncGenerator<TagEntry> {
    await this.#called(`listTags ${repository}`, options);
    const rows = [...this.#of(repository).tags].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [tag, digest] of rows) yield this.listsDigests ? { tag, digest } : { tag };
  }
  async resolveTag(repository: RepositoryName, tag: Tag, options?: Cancellable): Promise<Digest | undefined> {
    await this.#called(`resolveTag ${repository} ${tag}`, options);
    return this.#of(repository).tags.get(tag);
  }
  async findManifest(repository: RepositoryName, reference: Reference, options?: Cancellable) {
    await this.#called(`findManifest ${repository} ${reference}`, options);
    const { tags, manifests } = this.#of(repository);
    const digest = isDigest(reference) ? reference : tags.get(reference);
    return digest && manifests.get(digest);
  }
  async *listReferrers(repository: RepositoryName, subject: Digest, options?: Cancellable): AsyncGenerator<Descriptor> {
    await this.#called(`listReferrers ${repository} ${subject}`, options);
    for (const { digest, mediaType, bytes } of this.#of(repository).manifests.values()) {
      if (parseManifest(bytes, mediaType).subject?.digest === subject) yield { mediaType, digest, size: bytes.length };
    }
  }
  async readBlob(repository: RepositoryName, digest: Digest, options: Cancellable & { offset?: number } = {}) {
    const { offset = 0 } = options;
    await this.#called(`readBlob ${repository} ${digest} ${offset}`, options);
    const bytes = this.#of(repository).blobs.has(digest) ? this.#blobs.get(digest) : undefined;
    return bytes && this.content(bytes, offset);
  }

  async hasManifest(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean> {
    await this.#called(`hasManifest ${repository} ${digest}`, options);
    return this.#of(repository).manifests.has(digest);
  }
  async hasBlob(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean> {
    await this.#called(`hasBlob ${repository} ${digest}`, options);
    return this.#of(repository).blobs.has(digest);
  }
  async statBlob(repository: RepositoryName, digest: Digest, options?: Cancellable) {
    await this.#called(`statBlob ${repository} ${digest}`, options);
    const size = this.#of(repository).blobs.has(digest) ? this.#blobs.get(digest)?.length : undefined;
    return size === undefined ? undefined : { size };
  }
  async mountBlob(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean> {
    await this.#called(`mountBlob ${repository} ${digest}`, options);
    if (this.#blobs.has(digest)) this.#of(repository).blobs.add(digest);
    return this.#blobs.has(digest);
  }
  async beginBlob(repository: RepositoryName, blob: Pick<Descriptor, 'digest' | 'size'>, options?: Cancellable) {
    await this.#called(`beginBlob ${repository} ${blob.digest}`, options);
    return this.#upload(repository, blob.digest);
  }
  #upload(repository: RepositoryName, digest: Digest): BlobUpload {
    const received = (): Buffer => this.#uploads.get(digest) ?? Buffer.alloc(0);
    return {
      get offset() {
        return received().length;
      },
      append: async (content, { signal } = {}) => {
        for await (const chunk of content) {
          signal?.throwIfAborted();
          this.#uploads.set(digest, Buffer.concat([received(), chunk]));
        }
      },
      commit: async (expected) => {
        const bytes = received();
        this.#uploads.delete(digest);
        if (digestOf(bytes) !== expected) throw new RegistryError('DIGEST_INVALID');
        await this.#called(`commitBlob ${repository} ${expected}`);
        this.#blobs.set(expected, bytes);
        this.#of(repository).blobs.add(expected);
      },
      cancel: async () => {
        this.#uploads.delete(digest);
      },
      release: async () => {
        this.calls.push(`release ${repository} ${digest}`);
      },
    };
  }
  async putManifest(repository: RepositoryName, manifest: StoredManifest, options: PutManifestOptions = {}) {
    const { tag, absent = [] } = options;
    await this.#called(`putManifest ${repository} ${manifest.digest}${tag ? ` ${tag}` : ''}`, options);
    const contents = this.#of(repository);
    const { blobs, manifests } = parseManifest(manifest.bytes, manifest.mediaType);
    const missing =
      blobs.some((blob) => !blob.urls?.length && !contents.blobs.has(blob.digest)) ||
      manifests.some(({ digest }) => !absent.includes(digest) && !contents.manifests.has(digest));
    if (missing) throw new RegistryError('MANIFEST_BLOB_UNKNOWN');
    contents.manifests.set(manifest.digest, manifest);
    if (tag) contents.tags.set(tag, manifest.digest);
  }
  async deleteTag(repository: RepositoryName, tag: Tag, options?: Cancellable): Promise<boolean> {
    await this.#called(`deleteTag ${repository} ${tag}`, options);
    return this.#of(repository).tags.delete(tag);
  }
  async deleteManifest(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean> {
    await this.#called(`deleteManifest ${repository} ${digest}`, options);
    const { tags, manifests } = this.#of(repository);
    for (const [tag, target] of tags) if (target === digest) tags.delete(tag);
    return manifests.delete(digest);
  }
}

/** Gives `bytes` from `offset` on, at most `sizeBytes` of them, and then breaks off. */
export function cutAfter(sizeBytes: number): (bytes: Buffer, offset: number) => Readable {
  return (bytes, offset) =>
    Readable.from(
      (async function* () {
        yield bytes.subarray(offset, offset + sizeBytes);
        if (offset + sizeBytes < bytes.length) throw new Error('connection reset');
      })(),
    );
}
