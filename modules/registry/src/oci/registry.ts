import type { Readable } from 'node:stream';
import type { Digest } from './digest.ts';
import type { Descriptor } from './manifest.ts';
import type { Reference, RepositoryName, Tag } from './names.ts';

/** A manifest as it was pushed: its bytes are the truth, its media type travels beside them. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export interface TagEntry {
  readonly tag: Tag;
  /** Present where the registry tells it in the listing (ours, ACR); otherwise ask `resolveTag`. */
  readonly digest?: Digest;
  /** False where the registry tells that nothing in the whole repository refers to anything: nobody need ask. */
  readonly hasReferrers?: false;
}

export interface Cancellable {
  readonly signal?: AbortSignal;
  /** Somebody waits for the answer: a registry that wants to be asked again later has given one. */
  readonly isUrgent?: boolean;
}

export interface ReferrersOptions extends Cancellable {
  /** Every tag of the repository, as just listed: a fallback tag that is not among them need not be asked for. */
  readonly allTags?: ReadonlySet<Tag> | undefined;
}

/**
 * A registry to copy from: our store, or the parent. "Not there" is `undefined` or an empty listing;
 * anything else that goes wrong throws. A listing that breaks off throws too: it is never silently short.
 */
export interface ImageSource {
  /** In name order. Throws where the registry refuses to list. */
  listRepositories(options?: Cancellable): AsyncIterable<RepositoryName>;
  /** In tag order; nothing for an unknown repository. */
  listTags(repository: RepositoryName, options?: Cancellable): AsyncIterable<TagEntry>;
  resolveTag(repository: RepositoryName, tag: Tag, options?: Cancellable): Promise<Digest | undefined>;
  /** The bytes are verified against the digest, whether it was asked for or announced. */
  findManifest(
    repository: RepositoryName,
    reference: Reference,
    options?: Cancellable,
  ): Promise<StoredManifest | undefined>;
  /** Manifests whose `subject` is `subject`, from the referrers API or the fallback tag. */
  listReferrers(repository: RepositoryName, subject: Digest, options?: ReferrersOptions): AsyncIterable<Descriptor>;
  /**
   * The content from byte `offset` (default 0) on. Not verified here: `BlobUpload.commit` does that.
   * Its chunks are the reader's alone.
   */
  readBlob(
    repository: RepositoryName,
    digest: Digest,
    options?: Cancellable & { readonly offset?: number },
  ): Promise<Readable | undefined>;
  /** Only where small blobs that are asked for at the same time come in one answer. */
  readonly readSmallBlob?: ReadSmallBlob | undefined;
}

/** The bytes, verified; undefined: not in this way, whatever the reason, so ask `readBlob`. */
export type ReadSmallBlob = (
  repository: RepositoryName,
  blob: Pick<Descriptor, 'digest' | 'size'>,
  options: { readonly signal: AbortSignal },
) => Promise<Buffer | undefined>;

export interface PutManifestOptions extends Cancellable {
  /** Points this tag at the manifest, in the same step. */
  readonly tag?: Tag;
  /** Children of an index that are left out on purpose (platform filter); everything else must be there. */
  readonly absent?: readonly Digest[];
}

/** A registry to copy to: our store, or the parent. */
export interface ImageTarget {
  hasManifest(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean>;
  hasBlob(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean>;
  /** Makes a blob that the target holds in another repository visible in this one; false: it must be sent. */
  mountBlob(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean>;
  /** Opens the unfinished upload of this blob where there is one, else begins one. */
  beginBlob(
    repository: RepositoryName,
    blob: Pick<Descriptor, 'digest' | 'size'>,
    options?: Cancellable,
  ): Promise<BlobUpload>;
  /** Only where small blobs may come without an upload. */
  readonly wholeBlobs?: WholeBlobs;
  /** Throws MANIFEST_BLOB_UNKNOWN when something it refers to is missing, MANIFEST_INVALID, DIGEST_INVALID. */
  putManifest(repository: RepositoryName, manifest: StoredManifest, options?: PutManifestOptions): Promise<void>;
  /** False when there was no such tag. */
  deleteTag(repository: RepositoryName, tag: Tag, options?: Cancellable): Promise<boolean>;
  /** Deletes the manifest and every tag that points at it; false when there was none. */
  deleteManifest(repository: RepositoryName, digest: Digest, options?: Cancellable): Promise<boolean>;
}

export interface AppendOptions extends Cancellable {
  /** Nobody else reads the chunks of the content, now or later: their memory may be freed once they are taken. */
  readonly isOurs?: boolean;
  /** Where content leaves in parts, the one on its way goes on after `signal` fired, until this fires. Default: `signal`. */
  readonly partSignal?: AbortSignal | undefined;
}

export interface WholeBlobs {
  readonly limitBytes: number;
  /** Whether it is small enough, and has no unfinished upload that should go on instead. */
  accepts(blob: Pick<Descriptor, 'digest' | 'size'>): boolean;
  /** Verifies, makes durable, makes visible. Throws DIGEST_INVALID. */
  put(repository: RepositoryName, digest: Digest, bytes: Buffer): Promise<void>;
}

export interface BlobUpload {
  /** Bytes the target holds so far. */
  readonly offset: number;
  /** Adds `content` at `offset`. What arrived before an error or an abort is kept, and `offset` tells it. */
  append(content: AsyncIterable<Uint8Array>, options?: AppendOptions): Promise<void>;
  /**
   * Reads from byte `position` of what was received, also while more is appended; 0 where there is nothing (yet).
   * Only where the target can.
   */
  read?(buffer: Uint8Array, position: number): Promise<number>;
  /**
   * Only where what is appended is gathered and sent in larger parts: these then leave at this pace, whatever the
   * pace at which they were gathered.
   */
  paceWith?(pace: Pace): void;
  /** Verifies, makes durable, makes visible. DIGEST_INVALID discards the upload. */
  commit(digest: Digest, options?: Cancellable): Promise<void>;
  /** Discards what was received. */
  cancel(): Promise<void>;
  /** Lets go without discarding: the next `beginBlob` goes on from `offset`. */
  release(): Promise<void>;
}

/** Resolves with how many of `sizeBytes` may go on now, at least one; rejects with the signal's reason. */
export type Pace = (sizeBytes: number, signal?: AbortSignal) => Promise<number>;
