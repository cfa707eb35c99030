import type { GroupCommit } from './group-commit.ts';
import type { Table, Tables } from './layout.ts';

/** What the parts of one collection share. */
export interface GarbagePass {
  readonly directory: string;
  readonly tables: Tables;
  readonly commit: GroupCommit;
  readonly signal: AbortSignal;
  /** Everything is decided, nothing is carried out. */
  readonly dryRun: boolean;
  /** This long before now. */
  before(milliseconds: number): Date;
}

/**
 * Whether the range holds anything, as written by now. Whatever changes the answer later gives the suspect another
 * mark, or clears it, in the same transaction.
 */
export async function hasAny<Row>(
  table: Table<Row>,
  range: { readonly gt: string; readonly lt: string },
): Promise<boolean> {
  return (await table.keys({ ...range, limit: 1 }).all()).length > 0;
}
