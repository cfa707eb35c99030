import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';

export interface VerifyStore {
  /** Between two rows, and within a large file. */
  readonly signal: AbortSignal;
  /** Reads the content of every file and compares digests; else only its presence and length. */
  readonly deep: boolean;
  /** Rebuilds what can be rebuilt from what is here; what is damaged is put out of sight, so that it can be fetched again. */
  readonly repair: boolean;
  /** Told often; costs the verification what the listener costs. */
  readonly onProgress?: (progress: VerificationProgress) => void;
}

export interface VerificationProgress {
  readonly blobs: number;
  /** Known before the end only as what the index counts. */
  readonly blobsTotal: number;
  /** Of content read or measured. */
  readonly bytes: number;
  readonly bytesTotal: number;
  readonly findings: number;
}

export type FindingKind = 'blob' | 'link' | 'manifest' | 'tag' | 'counts' | 'journal' | 'index';

/** Something that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind;
  readonly repository?: RepositoryName;
  readonly digest?: Digest;
  readonly tag?: Tag;
  readonly problem: string;
  /** Whether it is as it should be now, or at least out of sight. */
  readonly repaired: boolean;
}

/** What a verification saw. */
export interface Verification {
  readonly blobs: number;
  readonly bytes: number;
  readonly manifests: number;
  readonly tags: number;
  readonly links: number;
  /** Files that no row knows: garbage, or, in a repair, taken in again. */
  readonly unknownFiles: number;
  /** All of them; `first` holds no more than `firstFindings`. */
  readonly findings: number;
  readonly first: readonly Finding[];
  readonly repaired: number;
}

/** Findings that are kept in memory and told one by one; the others are counted. */
export const firstFindings = 20;

type Counted = 'blobs' | 'bytes' | 'manifests' | 'tags' | 'links' | 'unknownFiles';

/** Adds up what the parts of one verification see, in constant memory. */
export interface Tally {
  readonly sums: Record<Counted, number>;
  find(finding: Finding): void;
  /** Tells the listener where the verification stands. */
  move(): void;
  result(): Verification;
}

export function createTally(
  { onProgress }: Pick<VerifyStore, 'onProgress'>,
  totals: { readonly blobs: number; readonly usedBytes: number },
): Tally {
  const sums = { blobs: 0, bytes: 0, manifests: 0, tags: 0, links: 0, unknownFiles: 0 };
  const first: Finding[] = [];
  let findings = 0;
  let repaired = 0;
  return {
    sums,
    find(finding) {
      findings += 1;
      if (finding.repaired) repaired += 1;
      if (first.length < firstFindings) first.push(finding);
    },
    move() {
      const { blobs, bytes } = sums;
      onProgress?.({ blobs, bytes, blobsTotal: totals.blobs, bytesTotal: totals.usedBytes, findings });
    },
    result: () => ({ ...sums, findings, first, repaired }),
  };
}
