import { knownGapKey, sequenceKey, sequenceOf } from './layout.ts';
import { totalsIn } from './verify-counts.ts';
import { keysOf, type View } from './verify-rows.ts';
import type { VerifyPass } from './verify-store.ts';

/**
 * Sequences follow each other without a gap: where one is missing, the index lost a batch. A repair cannot bring it
 * back; it remembers that it was told, so that it is not told for as long as the journal is kept.
 */
export async function verifyJournal({ tables, commit, signal, tally, repair }: VerifyPass, view: View): Promise<void> {
  const known = Number(tables.record.getSync(knownGapKey, view) ?? 0);
  let before: number | undefined;
  let gaps = 0;
  for await (const key of keysOf({ signal }, tables.journal, { ...view, gt: sequenceKey(known) })) {
    const sequence = sequenceOf(key);
    if (before !== undefined && sequence !== before + 1) found(before, sequence);
    before = sequence;
  }
  const head = totalsIn(tables, view).head;
  if (before !== undefined && before < head) found(before, head + 1);
  if (gaps > 0 && repair && before !== undefined) {
    const last = Math.max(before, head);
    await commit.transact((write) => write.put(tables.record, knownGapKey, last));
  }

  function found(from: number, to: number): void {
    gaps += 1;
    tally.find({ kind: 'journal', problem: `changes ${from + 1} to ${to - 1} are missing`, repaired: repair });
  }
}
