import type { Digest } from './digest.ts';
import type { Platform } from './manifest.ts';
import type { RepositoryName, Tag } from './names.ts';

/** A smaller one is here before those below that hear of it have asked. */
export const smallestArrivingBytes = 1024 * 1024;

/** A blob on its way into a registry, told to those below it before the image is there. Nothing but a hint. */
export interface ArrivingBlob {
  readonly repository: RepositoryName;
  /** That the image is to have; absent: a client pushes, who says so at the end. */
  readonly tag?: Tag;
  /** For which the image is, where an index says so. */
  readonly platform?: Platform;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}
