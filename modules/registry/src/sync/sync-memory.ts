import type { Records } from '../store/store.ts';
import type { SyncState, SyncTrigger } from '../status/sync-status.ts';

/** What a restart has to remember of earlier passes. */
export interface SyncMemory {
  readonly trigger: SyncTrigger;
  /** `Syncing` after a restart: that pass never ended. */
  readonly state: SyncState;
  readonly lastStart: Date | undefined;
  readonly lastEnd: Date | undefined;
  readonly lastSuccess: Date | undefined;
  /** What was to be synced at that time; another value now means a pass is due. */
  readonly wanted: string | undefined;
  /** A part of what is here was lost: until a pass has looked at everything and succeeded, every pass does. */
  readonly recovery: boolean;
}

export const emptyMemory: SyncMemory = {
  trigger: 'InitialSync',
  state: 'Pending',
  lastStart: undefined,
  lastEnd: undefined,
  lastSuccess: undefined,
  wanted: undefined,
  recovery: false,
};

const recordKey = 'sync';
const states: readonly SyncState[] = ['Pending', 'Syncing', 'Succeeded', 'Failed', 'TimedOut'];
const triggers: readonly SyncTrigger[] = [
  'InitialSync',
  'Scheduled',
  'ManualResync',
  'SyncTokenUpdate',
  'RecoveryService',
];

/** What was saved last; what cannot be read is forgotten, which costs one early pass. */
export async function loadMemory(records: Records): Promise<SyncMemory> {
  const saved = await records.get(recordKey);
  if (typeof saved !== 'object' || saved === null) return emptyMemory;
  const fields = saved as Readonly<Record<string, unknown>>;
  return {
    trigger: triggers.find((trigger) => trigger === fields['trigger']) ?? emptyMemory.trigger,
    state: states.find((state) => state === fields['state']) ?? emptyMemory.state,
    lastStart: dateOf(fields['lastStart']),
    lastEnd: dateOf(fields['lastEnd']),
    lastSuccess: dateOf(fields['lastSuccess']),
    wanted: typeof fields['wanted'] === 'string' ? fields['wanted'] : undefined,
    recovery: fields['recovery'] === true,
  };
}

export async function saveMemory(records: Records, memory: SyncMemory): Promise<void> {
  await records.put(recordKey, {
    ...memory,
    lastStart: memory.lastStart?.toISOString(),
    lastEnd: memory.lastEnd?.toISOString(),
    lastSuccess: memory.lastSuccess?.toISOString(),
  });
}

function dateOf(value: unknown): Date | undefined {
  const date = new Date(typeof value === 'string' ? value : Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
