import type { Digest, DigestAlgorithm } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { Change } from './store.ts';

/** What the index holds, as it is written: dates are ISO 8601 text. */
export interface RepositoryRow {
  readonly created: string;
  readonly updated: string;
  readonly manifests: number;
  readonly tags: number;
  readonly blobs: number;
}

export interface ManifestRow {
  readonly mediaType: string;
  readonly added: string;
  readonly subject?: Digest;
  readonly artifactType?: string;
  readonly bytes: Buffer;
}

export interface TagRow {
  readonly digest: Digest;
  readonly created: string;
  readonly updated: string;
  readonly origin: 'local' | 'parent';
  readonly base?: Digest;
}

export interface BlobRow {
  readonly sizeBytes: number;
  readonly added: string;
}

export interface SuspectRow {
  readonly since: string;
  /** Another one at each new suspicion, so that a decision about an old one is not carried out. */
  readonly mark: string;
}

export interface UploadRow {
  readonly repository: RepositoryName;
  readonly started: string;
  readonly algorithm: DigestAlgorithm;
  /** Known beforehand for blobs that come from another registry. */
  readonly digest?: Digest;
}

export interface ChangeRow {
  readonly action: Change['action'];
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly tag?: Tag;
  readonly at: string;
  readonly origin: Change['origin'];
}

/** Kept up to date in the batch that changes what is counted, so that nobody ever has to count. */
export interface Totals {
  readonly usedBytes: number;
  readonly blobs: number;
  readonly manifests: number;
  readonly repositories: number;
  readonly locks: number;
  readonly outbox: number;
  /** The last sequence of the journal; it stays when the journal expires. */
  readonly head: number;
}

export const noTotals: Totals = { usedBytes: 0, blobs: 0, manifests: 0, repositories: 0, locks: 0, outbox: 0, head: 0 };
