import type { Log } from '../status/log.ts';
import type { GroupCommit } from './group-commit.ts';
import { keyWithin, sequenceKey, sequenceOf, type Table, type Tables } from './layout.ts';
import type { ChangeRow } from './rows.ts';
import type { Change, Journal, Outbox } from './store.ts';

export interface ChangesOptions {
  readonly tables: Tables;
  readonly commit: GroupCommit;
  readonly log: Log;
}

const expiredPerBatch = 1000;

/** The journal. A gap inside it means that the index lost batches: it is logged, and seen in the sequences. */
export function createJournal({ tables, commit, log }: ChangesOptions): Journal {
  return {
    get head() {
      return commit.totals.head;
    },

    async *readAfter(sequence) {
      let expected: number | undefined;
      for await (const change of read(tables.journal, sequence)) {
        if (expected !== undefined && change.sequence !== expected) {
          log.error('changes are missing from the journal', { from: expected, before: change.sequence });
        }
        expected = change.sequence + 1;
        yield change;
      }
    },

    advanced: (sequence, signal) => commit.advanced(sequence, signal),

    async expire(before) {
      let expired = 0;
      for (;;) {
        const old: string[] = [];
        for await (const [key, { at }] of tables.journal.iterator({ limit: expiredPerBatch })) {
          if (new Date(at) >= before) break;
          old.push(key);
        }
        await commit.transact((write) => old.forEach((key) => write.delete(tables.journal, key)), { durable: false });
        expired += old.length;
        if (old.length < expiredPerBatch) return expired;
      }
    },
  };
}

/** The outbox. Its entries keep the sequence they have in the journal, so it ascends with gaps. */
export function createOutbox({ tables, commit }: ChangesOptions): Outbox {
  return {
    read: () => read(tables.outbox, 0),

    async pending() {
      const { outbox: count } = commit.totals;
      if (count === 0) return { count };
      const [first] = await tables.outbox.values({ limit: 1 }).all();
      return { count, ...(first && { oldest: new Date(first.at) }) };
    },

    done({ sequence, repository, tag, digest }) {
      return commit.transact((write) => {
        const key = sequenceKey(sequence);
        const entry = write.get(tables.outbox, key);
        if (!entry) return;
        write.delete(tables.outbox, key);
        write.count({ outbox: -1 });
        if (tag === undefined || entry.action === 'untag') return;
        const tagKey = keyWithin(repository, tag);
        const row = write.get(tables.tag, tagKey);
        if (row) write.put(tables.tag, tagKey, { ...row, base: digest });
      });
    },
  };
}

async function* read(table: Table<ChangeRow>, after: number): AsyncGenerator<Change> {
  for await (const [key, row] of table.iterator({ gt: sequenceKey(after) })) {
    yield { ...row, sequence: sequenceOf(key), at: new Date(row.at) };
  }
}
