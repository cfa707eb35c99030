import type { Digest, DigestAlgorithm } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type {
  AppendOptions,
  BlobUpload,
  ImageSource,
  ImageTarget,
  PutManifestOptions,
  StoredManifest,
  TagEntry,
} from '../oci/registry.ts';
import type { Descriptions, PageStart } from './descriptions.ts';
import type { Locks } from './locks.ts';
import type { IndexCondition } from './open-index.ts';
import type { Verification, VerifyStore } from './verification.ts';

/**
 * What this registry holds. The only room that knows a LevelDB key or a blob path.
 *
 * Promises: bytes first, index last · an acknowledged write survives a power cut with everything it refers to ·
 * a tag never points at something incomplete · a blob is seen in a repository only through its link ·
 * no operation costs more as the store grows.
 */
export interface Store extends ImageSource, Descriptions {
  /**
   * Writes by clients: journalled and, while the registry carries pushes to a parent, put in the outbox.
   * REGISTRY_DISALLOWED_OPERATION where they meet a lock.
   */
  readonly local: LocalTarget;
  /** Writes that came from the parent: journalled, never in the outbox, and not held up by locks. */
  readonly replica: ImageTarget;
  readonly uploads: Uploads;
  readonly journal: Journal;
  readonly outbox: Outbox;
  readonly records: Records;
  readonly locks: Locks;

  listRepositories(options?: PageStart): AsyncIterable<RepositoryName>;
  listTags(repository: RepositoryName, options?: PageStart): AsyncIterable<TagEntry & { readonly digest: Digest }>;
  hasRepository(repository: RepositoryName): Promise<boolean>;
  /** Whether anything in the repository refers to another manifest, by itself or from a fallback tag. */
  hasReferrers(repository: RepositoryName): Promise<boolean>;
  /** In whatever repository: `mountBlob` makes it visible in another one. */
  holdsBlob(digest: Digest): Promise<boolean>;
  statBlob(repository: RepositoryName, digest: Digest): Promise<{ readonly size: number } | undefined>;
  /** For serving: random access without a stream's overhead. The caller closes it. */
  openBlob(repository: RepositoryName, digest: Digest): Promise<OpenBlob | undefined>;
  /** Takes the repository out with everything in it (a de-listed one), locked or not. Journalled as deletes. */
  deleteRepository(repository: RepositoryName): Promise<boolean>;
  /** Frees what nothing refers to, beside all other work; may break off anywhere and be repeated. */
  collectGarbage(options: CollectGarbage): Promise<Collected>;
  /** Compares all that is stored with itself, beside all other work; in a repair, mends what it can. */
  verify(options: VerifyStore): Promise<Verification>;
  /** How the index was found when the store was opened. */
  readonly condition: IndexCondition;
  /** Goes up with every change after which an earlier answer about manifests, tags, links or locks may be untrue. */
  readonly generation: number;
  /** What is held, now; costs nothing. */
  readonly contents: Contents;
  /** Of the disk under the data volume. */
  freeBytes(): Promise<number>;
  close(): Promise<void>;
}

/** What a read met, and answered as if it were not here. */
export interface Damage {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly problem: string;
}

export interface StoreTarget extends ImageTarget {
  /** `moreTags` are pointed at the manifest in the same step as `tag`: all of them or none. */
  putManifest(
    repository: RepositoryName,
    manifest: StoredManifest,
    options?: PutManifestOptions & { readonly moreTags?: readonly Tag[] },
  ): Promise<void>;
}

export interface LocalTarget extends StoreTarget {
  /**
   * Takes the blob out of this repository; false when it was not there. Throws REGISTRY_DISALLOWED_OPERATION while a
   * manifest of the repository needs it, or while anything in the repository is locked against deletes.
   */
  deleteBlob(repository: RepositoryName, digest: Digest): Promise<boolean>;
  /** Takes the repository out with everything in it, or, where anything is locked, nothing. */
  deleteRepository(repository: RepositoryName): Promise<RemovedContent | undefined>;
}

export interface RemovedContent {
  readonly manifests: readonly Digest[];
  readonly tags: readonly Tag[];
}

export interface OpenBlob {
  readonly size: number;
  /** All of it, where it is small enough to be at hand at once. */
  readonly bytes?: Buffer;
  /** Reads into `buffer` from byte `position`; the number of bytes read, 0 at the end. */
  read(buffer: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * Upload sessions of the HTTP API. They survive a restart; after a crash, one is found again at the offset it had when
 * it was last released, and one that never was and had received little or nothing is unknown.
 */
export interface Uploads {
  begin(repository: RepositoryName, options?: { readonly algorithm?: DigestAlgorithm }): Promise<UploadSession>;
  find(repository: RepositoryName, id: string): Promise<UploadSession | undefined>;
}

/** One writer at a time: a second `append` while one runs throws BLOB_UPLOAD_INVALID. */
export interface UploadSession extends BlobUpload {
  /** A UUID. */
  readonly id: string;
  /** As in `BlobUpload`; a buffer is what came as a whole. */
  append(content: AsyncIterable<Uint8Array> | Buffer, options?: AppendOptions): Promise<void>;
  /**
   * Waits, for a second at most, for another request that writes: what it brings counts into `offset`.
   * Throws BLOB_UPLOAD_UNKNOWN where it committed or cancelled the upload.
   */
  settle(): Promise<void>;
  /**
   * Waits for another request that writes, and ends it, keeping what arrived, when it brings nothing for ten seconds.
   * Throws BLOB_UPLOAD_INVALID while bytes come.
   */
  takeOver(): Promise<void>;
}

export interface Change {
  /** Gapless, ascending from 1. */
  readonly sequence: number;
  readonly action: 'push' | 'tag' | 'untag' | 'delete';
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly tag?: Tag;
  readonly at: Date;
  readonly origin: 'local' | 'parent';
}

/** What changed here, in order. Children and notifications read it. */
export interface Journal {
  /** The last sequence given; 0 when nothing ever changed. */
  readonly head: number;
  readAfter(sequence: number): AsyncIterable<Change>;
  /** Resolves once the head is beyond `sequence`; rejects with the signal's reason. */
  advanced(sequence: number, signal: AbortSignal): Promise<void>;
  /** Drops changes older than `before` (message TTL); the number dropped. The head never goes back. */
  expire(before: Date): Promise<number>;
}

/** What is still to be carried to the parent, in order. */
export interface Outbox {
  read(): AsyncIterable<Change>;
  pending(): Promise<{ readonly count: number; readonly oldest?: Date }>;
  /** The parent has it: takes the entry out and, for a tag, remembers its digest as the common base. */
  done(change: Change): Promise<void>;
}

/** Small durable facts: settings, activation, signing key, cursors. JSON values. */
export interface Records {
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
  delete(key: string): Promise<void>;
}

export interface CollectGarbage {
  /** Between two pages; what was removed by then stays so. */
  readonly signal: AbortSignal;
  /** Counts what would go, and changes nothing. */
  readonly dryRun?: boolean;
  /** Manifests that no tag reaches, be it directly, as a child or as a referrer. */
  readonly untagged: 'keep' | { readonly olderThanMs: number };
  /** Uploads go when nothing was added for this long. */
  readonly uploadsOlderThanMs: number;
  /** Blobs go out of a repository when no manifest needed them for this long: time for a push to bring its manifest. */
  readonly blobsOlderThanMs: number;
}

/** What a collection removed, or in a dry run would. */
export interface Collected {
  readonly blobs: number;
  /** Of blobs and uploads. */
  readonly bytes: number;
  readonly uploads: number;
  readonly manifests: number;
}

export interface Contents {
  readonly usedBytes: number;
  readonly blobs: number;
  readonly manifests: number;
  readonly repositories: number;
}
