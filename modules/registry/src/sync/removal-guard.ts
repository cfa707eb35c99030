import type { RemovalSettings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Records } from '../store/store.ts';

/** How many tags went within a day, so that a parent that is emptied one tag at a time is noticed as well. */
export interface RemovalGuard {
  load(): Promise<void>;
  /** Tags that sync removed within the last day. */
  recent(): number;
  note(tags: number): Promise<void>;
  /** An operator has confirmed: what went before does not count any more. */
  forget(): Promise<void>;
}

interface Hour {
  readonly at: string;
  readonly tags: number;
}

const recordKey = 'removals';
const [hourMs, dayMs] = [3_600_000, 24 * 3_600_000];

/** Whether `tags` more, after the `recent` ones, are too many to go unasked of the `held` ones, which include them. */
export function isTooMuch(
  { tags, recent, held }: { readonly tags: number; readonly recent: number; readonly held: number },
  { freeTags, maxPercent }: RemovalSettings,
): boolean {
  const gone = tags + recent;
  return gone > freeTags && gone * 100 > maxPercent * (held + recent);
}

export function createRemovalGuard(options: { readonly records: Records; readonly clock: Clock }): RemovalGuard {
  const { records, clock } = options;
  let hours: readonly Hour[] = [];

  /** An hour that lies ahead comes from a clock that was wrong, and does not count. */
  function ofTheDay(): readonly Hour[] {
    const nowMs = clock.now().getTime();
    return hours.filter(({ at }) => {
      const ageMs = nowMs - new Date(at).getTime();
      return ageMs >= 0 && ageMs < dayMs;
    });
  }

  return {
    async load() {
      const saved = await records.get(recordKey);
      hours = Array.isArray(saved) ? saved.filter(isHour) : [];
    },
    recent: () => ofTheDay().reduce((sum, { tags }) => sum + tags, 0),
    async note(tags) {
      const at = new Date(Math.floor(clock.now().getTime() / hourMs) * hourMs).toISOString();
      const known = ofTheDay();
      const before = known.find((hour) => hour.at === at)?.tags ?? 0;
      hours = [...known.filter((hour) => hour.at !== at), { at, tags: before + tags }];
      await records.put(recordKey, hours);
    },
    async forget() {
      hours = [];
      await records.delete(recordKey);
    },
  };
}

function isHour(value: unknown): value is Hour {
  return (
    typeof value === 'object' && value !== null && 'at' in value && 'tags' in value && typeof value.tags === 'number'
  );
}
