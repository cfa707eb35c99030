import type { Clock } from '../status/clock.ts';
import type { SyncStatus, SyncTrigger } from '../status/sync-status.ts';
import type { Store } from '../store/store.ts';
import type { PassEnd } from './run-pass.ts';
import { emptyMemory, loadMemory, saveMemory, type SyncMemory } from './sync-memory.ts';

/** What is known of passes so far, and of what waits in the outbox. Survives restarts. */
export interface SyncLedger {
  readonly memory: SyncMemory;
  readonly outbox: SyncStatus['outbox'];
  load(): Promise<void>;
  /** A pass begins, for what `syncKey` stands for. */
  begin(trigger: SyncTrigger, syncKey: string): Promise<void>;
  /** Whether all that recovery was asked for is here again with it. */
  end(state: PassEnd['state']): Promise<boolean>;
  /** From now on a pass has to look at everything, until one that began later succeeds. */
  askRecovery(): Promise<void>;
  countOutbox(): Promise<void>;
}

export function createSyncLedger(options: {
  readonly store: Pick<Store, 'records' | 'outbox'>;
  readonly clock: Clock;
}): SyncLedger {
  const { store, clock } = options;
  let memory = emptyMemory;
  let isAskedMeanwhile = false;
  let outbox: SyncStatus['outbox'] = { pending: 0 };

  async function countOutbox(): Promise<void> {
    const { count, oldest } = await store.outbox.pending();
    outbox = { pending: count, ...(oldest && { oldest }) };
  }

  return {
    get memory() {
      return memory;
    },
    get outbox() {
      return outbox;
    },
    async load() {
      memory = await loadMemory(store.records);
      await countOutbox();
    },
    async begin(trigger, wanted) {
      isAskedMeanwhile = false;
      memory = { ...memory, trigger, state: 'Syncing', lastStart: clock.now(), wanted };
      await saveMemory(store.records, memory);
    },
    async end(state) {
      const now = clock.now();
      const recovered = memory.recovery && state === 'Succeeded' && memory.trigger !== 'Scheduled' && !isAskedMeanwhile;
      const lastSuccess = state === 'Succeeded' ? now : memory.lastSuccess;
      memory = { ...memory, state, lastEnd: now, lastSuccess, recovery: memory.recovery && !recovered };
      await saveMemory(store.records, memory);
      return recovered;
    },
    async askRecovery() {
      isAskedMeanwhile = true;
      memory = { ...memory, recovery: true };
      await saveMemory(store.records, memory);
    },
    countOutbox,
  };
}
