import { sequenceKey, type Table, type Tables } from './layout.ts';
import type { ChangeRow, Totals } from './rows.ts';

/**
 * What a writer does inside a batch. It runs without a pause and sees every write before it,
 * those of the same batch included: check-then-write is safe and needs no lock.
 */
export interface Transaction {
  readonly tables: Tables;
  readonly now: Date;
  get<Row>(table: Table<Row>, key: string): Row | undefined;
  put<Row>(table: Table<Row>, key: string, row: Row): void;
  delete<Row>(table: Table<Row>, key: string): void;
  /** Adds to the totals. */
  count(difference: Partial<Totals>): void;
  /** Adds to the journal under the next sequence, and to the outbox when it is to be `carried`. */
  journal(change: Omit<ChangeRow, 'at'>, options: { readonly carried: boolean }): void;
}

/** By the whole key, which names the table as well. */
export type Operations = Map<string, Operation>;

export interface Operation {
  readonly table: Table<unknown>;
  /** Undefined: the row goes. */
  readonly value: unknown;
}

/** One writer's view of a batch, kept apart until its body has come to its end. */
export interface StagedTransaction extends Transaction {
  readonly operations: ReadonlyMap<string, Operation>;
  readonly totals: Totals;
}

export interface StageOptions {
  readonly tables: Tables;
  readonly now: Date;
  /** What the writers before it in the same batch have done. */
  readonly group: ReadonlyMap<string, Operation>;
  readonly totals: Totals;
}

export function stage(options: StageOptions): StagedTransaction {
  return new Staged(options);
}

/** A class, as there is one for every write: its functions are made once. */
class Staged implements StagedTransaction {
  readonly tables: Tables;
  readonly now: Date;
  readonly operations: Operations = new Map();
  totals: Totals;
  readonly #group: ReadonlyMap<string, Operation>;

  constructor({ tables, now, group, totals }: StageOptions) {
    this.tables = tables;
    this.now = now;
    this.totals = totals;
    this.#group = group;
  }

  get<Row>(table: Table<Row>, key: string): Row | undefined {
    const id = table.prefixKey(key, 'utf8');
    const staged = this.operations.get(id) ?? this.#group.get(id);
    return staged ? (staged.value as Row | undefined) : table.getSync(key);
  }

  put<Row>(table: Table<Row>, key: string, value: Row): void {
    this.operations.set(table.prefixKey(key, 'utf8'), operation(table, value));
  }

  delete<Row>(table: Table<Row>, key: string): void {
    this.operations.set(table.prefixKey(key, 'utf8'), operation(table, undefined));
  }

  count(difference: Partial<Totals>): void {
    const sum: Record<keyof Totals, number> = { ...this.totals };
    for (const name of Object.keys(difference) as (keyof Totals)[]) sum[name] += difference[name] ?? 0;
    this.totals = sum;
  }

  journal(change: Omit<ChangeRow, 'at'>, { carried }: { readonly carried: boolean }): void {
    this.count({ head: 1, outbox: carried ? 1 : 0 });
    const key = sequenceKey(this.totals.head);
    const row = { ...change, at: this.now.toISOString() };
    this.put(this.tables.journal, key, row);
    if (carried) this.put(this.tables.outbox, key, row);
  }
}

/** Sound, as the value is one of that table's rows. */
function operation<Row>(table: Table<Row>, value: Row | undefined): Operation {
  return { table: table as unknown as Table<unknown>, value };
}
