import type { AbstractSnapshot } from 'abstract-level';
import type { Table } from './layout.ts';
import type { VerifyPass } from './verify-store.ts';

/** Of a page no row is waited for: it must not hold up requests for long. */
const keysPerPage = 100;

/** What is read of an index: as it was at one moment, or, without `snapshot`, as it is. */
export interface View {
  readonly snapshot?: AbstractSnapshot;
}

/** Every row of the index can be read. A repair takes out those that cannot; what they meant is missed elsewhere. */
export async function verifyReadable(pass: VerifyPass): Promise<void> {
  const { tables, commit, repair, tally } = pass;
  for (const [name, table] of Object.entries(tables) as [string, Table<unknown>][]) {
    try {
      for await (const key of keysOf(pass, table)) {
        if (isReadable(table, key)) continue;
        if (repair) await commit.transact((write) => write.delete(table, key));
        tally.find({ kind: 'index', problem: `${name} ${JSON.stringify(key)} cannot be read`, repaired: repair });
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      tally.find({ kind: 'index', problem: `the keys of ${name} cannot be read`, repaired: false });
    }
  }
}

/** The rows of a table that can be read, in order, in constant memory. */
export async function* rowsOf<Row>(
  pass: VerifyPass,
  table: Table<Row>,
  view: View = {},
): AsyncGenerator<[string, Row]> {
  for await (const key of keysOf(pass, table, view)) {
    if (!isReadable(table, key, view)) continue;
    const row = table.getSync(key, view);
    if (row !== undefined) yield [key, row];
  }
}

export async function* keysOf<Row>(
  { signal }: Pick<VerifyPass, 'signal'>,
  table: Table<Row>,
  view: View & { readonly gt?: string } = {},
): AsyncGenerator<string> {
  for (let gt = view.gt ?? ''; ;) {
    const keys = await table.keys({ ...view, gt, limit: keysPerPage }).all();
    for (const key of keys) {
      signal.throwIfAborted();
      yield key;
    }
    const last = keys.at(-1);
    if (last === undefined) return;
    gt = last;
  }
}

function isReadable<Row>(table: Table<Row>, key: string, view: View = {}): boolean {
  try {
    table.getSync(key, view);
    return true;
  } catch (error) {
    if (isUnreadable(error)) return false;
    throw error;
  }
}

function isUnreadable(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'LEVEL_DECODE_ERROR' || code === 'LEVEL_CORRUPTION';
}
