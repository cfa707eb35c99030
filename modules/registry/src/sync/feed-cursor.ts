import type { FeedCursor } from '../parent/parent.ts';
import type { Clock } from '../status/clock.ts';
import type { Records } from '../store/store.ts';
import type { Wanted } from './wanted.ts';

/** How far the parent's message feed is worked off. Survives restarts. */
export interface CursorKeeper {
  load(): Promise<void>;
  /**
   * Where a pass goes on that looks only at what the messages name. Undefined where it has to compare everything:
   * another parent, other rules, or the last whole compare is a week ago.
   */
  usableFor(wanted: Wanted): FeedCursor | undefined;
  /** A pass begins that is to compare everything: whatever becomes of it, no later one may look at less. */
  forget(): Promise<void>;
  /** A pass has succeeded: everything up to `cursor` is here. `compared`: it has looked at everything. */
  save(wanted: Wanted, cursor: FeedCursor, options: { readonly compared: boolean }): Promise<void>;
}

interface Saved extends FeedCursor {
  /** The rules and the parent it was reached under. */
  readonly wanted: string;
  readonly comparedAt: string;
}

const recordKey = 'parent-cursor';
/** Heals what no message tells: damage on disk here, a lock that was lifted there. */
const comparedForMs = 7 * 24 * 3_600_000;

export function createCursorKeeper(options: { readonly records: Records; readonly clock: Clock }): CursorKeeper {
  const { records, clock } = options;
  let saved: Saved | undefined;

  return {
    async load() {
      saved = savedIn(await records.get(recordKey));
    },
    usableFor({ syncKey }) {
      if (saved?.wanted !== syncKey) return undefined;
      const ageMs = clock.now().getTime() - new Date(saved.comparedAt).getTime();
      // An age below zero comes from a clock that was wrong, and says nothing.
      if (ageMs < 0 || ageMs >= comparedForMs) return undefined;
      return { journal: saved.journal, head: saved.head };
    },
    async forget() {
      if (!saved) return;
      await records.delete(recordKey);
      saved = undefined;
    },
    async save({ syncKey }, { journal, head }, { compared }) {
      const comparedAt = compared || !saved ? clock.now().toISOString() : saved.comparedAt;
      const isKnown = saved?.wanted === syncKey && saved.journal === journal && saved.head === head;
      if (isKnown && saved?.comparedAt === comparedAt) return;
      const next = { wanted: syncKey, journal, head, comparedAt };
      await records.put(recordKey, next);
      saved = next;
    },
  };
}

function savedIn(value: unknown): Saved | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { wanted, journal, head, comparedAt } = value as Readonly<Record<string, unknown>>;
  if (typeof wanted !== 'string' || typeof journal !== 'string' || typeof comparedAt !== 'string') return undefined;
  return typeof head === 'number' ? { wanted, journal, head, comparedAt } : undefined;
}
