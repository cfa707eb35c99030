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

/** The first key of a range, on the disk now: what is being written meanwhile is left to the transaction to see. */
export async function firstKey<Row>(table: Table<Row>, range: object): Promise<string | undefined> {
  const [first] = await table.keys({ ...range, limit: 1 }).all();
  return first;
}
