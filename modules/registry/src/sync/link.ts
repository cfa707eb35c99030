import type { ParentRegistry } from '../parent/parent.ts';
import type { BlobTransfers } from './blob-transfers.ts';

/** The connection to the parent, and all that crosses it. */
export interface Link {
  readonly parent: ParentRegistry;
  readonly transfers: BlobTransfers;
}
