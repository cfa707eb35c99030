import type { AbstractBatchOperation } from 'abstract-level';
import { EventEmitter, once } from 'node:events';
import { RegistryError } from '../errors.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { sequenceKey, sequenceOf, totalsKey, type Index, type Table, type Tables } from './layout.ts';
import { noTotals, type ChangeRow, type Totals } from './rows.ts';
import { asStorageError } from './storage-error.ts';

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

export interface GroupCommit {
  readonly totals: Totals;
  /** Goes up with every batch that moves a tag, changes a lock, or takes a tag, manifest or link away. */
  readonly generation: number;
  /**
   * Runs `body` in the next batch and resolves with its result once that is written, and synced if `durable`
   * (the default). When `body` throws, nothing of it is written and nobody else is touched.
   * Throws STORAGE_FULL, and UNAVAILABLE after `close`.
   */
  transact<T>(body: (transaction: Transaction) => T, options?: { readonly durable?: boolean }): Promise<T>;
  /** Resolves once the journal's head is beyond `sequence`; rejects with the signal's reason, UNAVAILABLE at `close`. */
  advanced(sequence: number, signal: AbortSignal): Promise<void>;
  /** Waits for what was handed over; refuses the rest. */
  close(): Promise<void>;
}

export interface GroupCommitOptions {
  readonly index: Index;
  readonly tables: Tables;
  readonly clock: Clock;
  readonly log: Log;
}

interface Writer {
  readonly durable: boolean;
  run(transaction: Transaction): void;
  written(): void;
  failed(error: unknown): void;
}

type Operation = AbstractBatchOperation<Index, string, unknown>;

/** One batch in flight, shared by all who wait meanwhile: the cost of a sync is divided among them. */
export async function openGroupCommit({ index, tables, clock, log }: GroupCommitOptions): Promise<GroupCommit> {
  let totals = await readTotals(tables, log);
  let queue: Writer[] = [];
  let draining: Promise<void> | undefined;
  let damaged = false;
  let generation = 0;
  let closed = false;
  const progress = new EventEmitter<{ advance: [] }>().setMaxListeners(0);

  return {
    get totals() {
      return totals;
    },
    get generation() {
      return generation;
    },

    transact(body, { durable = true } = {}) {
      if (closed) return Promise.reject(new RegistryError('UNAVAILABLE', { message: 'the store is closed' }));
      return new Promise((resolve, reject) => {
        let written = (): void => undefined;
        queue.push({
          durable,
          run(transaction) {
            const result = body(transaction);
            written = () => resolve(result);
          },
          written: () => written(),
          failed: (error) => reject(asStorageError(error)),
        });
        draining ??= drain();
      });
    },

    async advanced(sequence, signal) {
      while (totals.head <= sequence) {
        signal.throwIfAborted();
        if (closed) throw new RegistryError('UNAVAILABLE', { message: 'the store is closed' });
        await once(progress, 'advance', { signal }).catch(() => undefined); // the reason is told above
      }
    },

    async close() {
      closed = true;
      await draining;
      progress.emit('advance');
    },
  };

  async function drain(): Promise<void> {
    await Promise.resolve(); // whoever writes in this same tick comes along
    while (queue.length > 0) {
      const writers = queue;
      queue = [];
      await commit(writers);
    }
    draining = undefined;
  }

  async function commit(writers: readonly Writer[]): Promise<void> {
    let accepted: Writer[] = [];
    try {
      if (damaged) await reopen();
      const group = new Map<string, Operation>();
      let next = totals;
      accepted = writers.filter((writer) => {
        const staged = stage(tables, clock.now(), group, next);
        try {
          writer.run(staged.transaction);
        } catch (error) {
          writer.failed(error);
          return false;
        }
        for (const [id, operation] of staged.operations) group.set(id, operation);
        next = staged.totals;
        return true;
      });
      await write(
        group,
        next,
        accepted.some(({ durable }) => durable),
      );
      const advances = next.head > totals.head;
      totals = next;
      if ([...group.values()].some(unsettles)) generation += 1;
      if (advances) progress.emit('advance');
      for (const writer of accepted) writer.written();
    } catch (error) {
      damaged = true;
      log.error('the index could not be written', { error: String(error) });
      for (const writer of writers) writer.failed(error);
    }
  }

  /** Whether an answer given before may be untrue after it: what is only added makes none. */
  function unsettles({ type, sublevel }: Operation): boolean {
    const { tag, lock, link, manifest } = tables;
    if (sublevel === tag || sublevel === lock) return true;
    return type === 'del' && (sublevel === link || sublevel === manifest);
  }

  async function write(group: Map<string, Operation>, next: Totals, sync: boolean): Promise<void> {
    if (group.size === 0) return;
    const operations = [...group].map(([key, operation]) => atRoot(key, operation));
    if (next !== totals) operations.push({ type: 'put', sublevel: tables.record, key: totalsKey, value: next });
    const options = { keyEncoding: 'utf8', sync };
    await index.batch(operations, options);
  }

  /**
   * After a failed write LevelDB may refuse all others, or go on behind half a record that hides them at the
   * next start; opened anew, it begins a new log behind the last whole batch.
   */
  async function reopen(): Promise<void> {
    await index.close();
    await index.open();
    for (const table of Object.values(tables)) await table.open();
    totals = await readTotals(tables, log);
    damaged = false;
    log.info('the index was opened anew');
  }
}

/** The same operation by its whole key: the index need not put the table's prefix before it again. */
function atRoot(key: string, operation: Operation): Operation {
  if (operation.type === 'del') return { type: 'del', key };
  return { type: 'put', key, value: operation.value, valueEncoding: operation.sublevel?.valueEncoding() };
}

/** One writer's view of the group, kept apart until its body has come to its end. */
function stage(tables: Tables, now: Date, group: ReadonlyMap<string, Operation>, before: Totals) {
  const operations = new Map<string, Operation>();
  const staged = { operations, totals: before };
  const put = <Row>(table: Table<Row>, key: string, value: Row): void => {
    operations.set(table.prefixKey(key, 'utf8'), { type: 'put', sublevel: table, key, value });
  };
  const count = (difference: Partial<Totals>): void => {
    const sum: Record<keyof Totals, number> = { ...staged.totals };
    for (const name of Object.keys(difference) as (keyof Totals)[]) sum[name] += difference[name] ?? 0;
    staged.totals = sum;
  };
  const transaction: Transaction = {
    tables,
    now,
    get<Row>(table: Table<Row>, key: string) {
      const id = table.prefixKey(key, 'utf8');
      const operation = operations.get(id) ?? group.get(id);
      if (!operation) return table.getSync(key);
      return operation.type === 'put' ? (operation.value as Row) : undefined;
    },
    put,
    delete(table, key) {
      operations.set(table.prefixKey(key, 'utf8'), { type: 'del', sublevel: table, key });
    },
    count,
    journal(change, { carried }) {
      count({ head: 1, outbox: carried ? 1 : 0 });
      const key = sequenceKey(staged.totals.head);
      const row = { ...change, at: now.toISOString() };
      put(tables.journal, key, row);
      if (carried) put(tables.outbox, key, row);
    },
  };
  return Object.assign(staged, { transaction });
}

/** Two keys are read, whatever the store holds. A journal that ends elsewhere than it should is told. */
async function readTotals(tables: Tables, log: Log): Promise<Totals> {
  const totals = { ...noTotals, ...((await tables.record.get(totalsKey)) as Partial<Totals> | undefined) };
  const [last] = await tables.journal.keys({ reverse: true, limit: 1 }).all();
  const lastSequence = last === undefined ? totals.head : sequenceOf(last);
  if (lastSequence === totals.head) return totals;
  log.error('the journal does not end where it should: the index is damaged', { lastSequence, head: totals.head });
  return { ...totals, head: Math.max(lastSequence, totals.head) };
}
