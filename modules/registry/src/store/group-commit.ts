import { EventEmitter, once } from 'node:events';
import { RegistryError } from '../errors.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { sequenceOf, totalsKey, type Index, type Tables } from './layout.ts';
import { noTotals, type Totals } from './rows.ts';
import { asStorageError } from './storage-error.ts';
import { stage, type Operation, type Operations, type Transaction } from './transaction.ts';

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
      const group: Operations = new Map();
      const now = clock.now();
      let next = totals;
      accepted = writers.filter((writer) => {
        const staged = stage({ tables, now, group, totals: next });
        try {
          writer.run(staged);
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
  function unsettles({ table, value }: Operation): boolean {
    const { tag, lock, link, manifest } = tables;
    if (table === tag || table === lock) return true;
    return value === undefined && (table === link || table === manifest);
  }

  /** A chained batch, which copies no operation: an array of them costs four times as much. */
  async function write(group: Operations, next: Totals, sync: boolean): Promise<void> {
    if (group.size === 0) return;
    if (next !== totals) group.set(tables.record.prefixKey(totalsKey, 'utf8'), { table: tables.record, value: next });
    const batch = index.batch();
    try {
      for (const [key, { table, value }] of group) {
        if (value === undefined) batch.del(key, { keyEncoding: 'utf8' });
        else batch.put(key, value, { keyEncoding: 'utf8', valueEncoding: table.valueEncoding() });
      }
      await batch.write({ sync });
    } finally {
      await batch.close();
    }
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

/** Two keys are read, whatever the store holds. A journal that ends elsewhere than it should is told. */
async function readTotals(tables: Tables, log: Log): Promise<Totals> {
  const totals = { ...noTotals, ...((await tables.record.get(totalsKey)) as Partial<Totals> | undefined) };
  const [last] = await tables.journal.keys({ reverse: true, limit: 1 }).all();
  const lastSequence = last === undefined ? totals.head : sequenceOf(last);
  if (lastSequence === totals.head) return totals;
  log.error('the journal does not end where it should: the index is damaged', { lastSequence, head: totals.head });
  return { ...totals, head: Math.max(lastSequence, totals.head) };
}
