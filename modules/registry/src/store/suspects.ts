import { randomUUID } from 'node:crypto';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Clock } from '../status/clock.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Transaction } from './transaction.ts';
import { suspectKey, suspectRange, type SuspectKind, type Tables } from './layout.ts';
import type { SuspectRow } from './rows.ts';

export interface Suspect extends SuspectRow {
  readonly key: string;
}

/** Garbage collection looks at suspects only, so that its cost grows with what was let go, not with what is stored. */
export function addSuspect(write: Transaction, key: string): void {
  write.put(write.tables.suspect, key, { since: write.now.toISOString(), mark: randomUUID() });
}

/** Somebody relies on it again: its grace period begins anew. */
export function renewSuspect(write: Transaction, key: string): void {
  if (write.get(write.tables.suspect, key)) addSuspect(write, key);
}

export function clearSuspect(write: Transaction, key: string): void {
  if (write.get(write.tables.suspect, key)) write.delete(write.tables.suspect, key);
}

/** False once anything happened to it since `suspect` was read. */
export function isStillSuspect(write: Transaction, suspect: Suspect): boolean {
  return write.get(write.tables.suspect, suspect.key)?.mark === suspect.mark;
}

const rowsPerPage = 100;

/** Suspects since `before` or earlier, by pages; those of a page may have changed when it is looked at. */
export async function* suspectPages(tables: Tables, kind: SuspectKind, before: Date): AsyncGenerator<Suspect[]> {
  const latest = before.toISOString();
  const range = suspectRange(kind);
  for (;;) {
    const rows = await tables.suspect.iterator({ ...range, limit: rowsPerPage }).all();
    const last = rows.at(-1);
    if (!last) return;
    range.gt = last[0];
    yield rows.flatMap(([key, row]) => (row.since <= latest ? [{ key, ...row }] : []));
  }
}

/** An answer older than this is given again only after the grace period was renewed. */
const renewAfterMs = 60 * 60 * 1000;

/**
 * What `ImageReader` calls before it tells that a blob is here: a client that hears so does not send it, and must
 * find it when its manifest comes. A disk that takes no write hinders no answer.
 */
export function createLinkRenewal(options: {
  readonly tables: Tables;
  readonly commit: GroupCommit;
  readonly clock: Clock;
}): (repository: RepositoryName, digest: Digest) => Promise<void> {
  const { tables, commit, clock } = options;
  return async (repository, digest) => {
    const key = suspectKey('link', repository, digest);
    const row = tables.suspect.getSync(key);
    if (!row || clock.now().getTime() - new Date(row.since).getTime() < renewAfterMs) return;
    await commit.transact((write) => renewSuspect(write, key), { durable: false }).catch(() => undefined);
  };
}
