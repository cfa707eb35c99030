import type { RepositoryName } from '../oci/names.ts';
import { rangeWithin, repositoryOf, totalsKey, type Table, type Tables } from './layout.ts';
import { countInRepository } from './repository-row.ts';
import { noTotals, type Totals } from './rows.ts';
import { keysOf, rowsOf, type View } from './verify-rows.ts';
import type { VerifyPass } from './verify-store.ts';

type Field = 'manifests' | 'tags' | 'blobs';
type CountedRows = Omit<Totals, 'head'>;

/** The counters say what there is. A repair adds the difference, which holds whatever was written since the view. */
export async function verifyCounts(pass: VerifyPass, view: View): Promise<void> {
  const { tables, commit, tally, repair } = pass;
  const counted = await countAll(pass, view);
  const stored = totalsIn(tables, view);
  const names = Object.keys(counted) as (keyof CountedRows)[];
  const wrong = names.filter((name) => counted[name] !== stored[name]);
  if (wrong.length > 0) {
    const differences = Object.fromEntries(wrong.map((name) => [name, counted[name] - stored[name]]));
    if (repair) {
      await commit.transact((write) => {
        write.put(tables.record, totalsKey, stored); // or there would be no batch, with which new totals are written
        write.count(differences);
      });
    }
    tally.find({ kind: 'counts', problem: `totals are wrong: ${wrong.join(', ')}`, repaired: repair });
  }
  await verifyField(pass, 'manifests', tables.manifest, view);
  await verifyField(pass, 'tags', tables.tag, view);
  await verifyField(pass, 'blobs', tables.link, view);
}

export function totalsIn(tables: Tables, view: View): Totals {
  return { ...noTotals, ...tables.record.getSync<string, Partial<Totals>>(totalsKey, view) };
}

/** What a repository's row says of one table. */
async function verifyField<Row>(pass: VerifyPass, field: Field, table: Table<Row>, view: View): Promise<void> {
  const { tables, commit, tally, repair } = pass;
  let current: RepositoryName | undefined;
  let count = 0;
  for await (const key of keysOf(pass, table, view)) {
    const repository = repositoryOf(key);
    if (repository !== current) {
      await compare();
      [current, count] = [repository, 0];
    }
    count += 1;
  }
  await compare();
  for await (const [key, row] of rowsOf(pass, tables.repository, view)) {
    const repository = key as RepositoryName;
    if (row[field] === 0) continue;
    const [any] = await table.keys({ ...rangeWithin(repository), ...view, limit: 1 }).all();
    if (any === undefined) await found(repository, -row[field]);
  }

  async function compare(): Promise<void> {
    if (current === undefined) return;
    const difference = count - (tables.repository.getSync(current, view)?.[field] ?? 0);
    if (difference !== 0) await found(current, difference);
  }

  async function found(repository: RepositoryName, difference: number): Promise<void> {
    if (repair) await commit.transact((write) => countInRepository(write, repository, { [field]: difference }));
    tally.find({ kind: 'counts', repository, problem: `its number of ${field} is wrong`, repaired: repair });
  }
}

/** What the totals should say. */
async function countAll(pass: VerifyPass, view: View): Promise<CountedRows> {
  const { tables } = pass;
  const sums = { usedBytes: 0, blobs: 0, manifests: 0, repositories: 0, locks: 0, outbox: 0 };
  for await (const [, { sizeBytes }] of rowsOf(pass, tables.blob, view)) {
    sums.blobs += 1;
    sums.usedBytes += sizeBytes;
  }
  for await (const [, { bytes }] of rowsOf(pass, tables.manifest, view)) {
    sums.manifests += 1;
    sums.usedBytes += bytes.length;
  }
  sums.repositories = await countKeys(pass, tables.repository, view);
  sums.locks = await countKeys(pass, tables.lock, view);
  sums.outbox = await countKeys(pass, tables.outbox, view);
  return sums;
}

async function countKeys<Row>(pass: VerifyPass, table: Table<Row>, view: View): Promise<number> {
  let count = 0;
  for await (const key of keysOf(pass, table, view)) count += Math.sign(key.length);
  return count;
}
