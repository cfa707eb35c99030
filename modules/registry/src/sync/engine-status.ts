import type { SyncState, SyncStatus } from '../status/sync-status.ts';
import { connectionStateOf } from './connection-state.ts';
import type { Details } from './details.ts';
import type { PassProgress } from './progress.ts';
import type { SyncMemory } from './sync-memory.ts';
import type { Wanted } from './wanted.ts';

export interface EngineView {
  readonly wanted: Wanted | undefined;
  readonly memory: SyncMemory;
  readonly progress: PassProgress;
  readonly details: Details;
  readonly outbox: SyncStatus['outbox'];
  readonly contacted: boolean;
  readonly running: { readonly kind: 'pass' | 'drain' | 'release'; readonly parentAnswered: boolean } | undefined;
  readonly next: Date | undefined;
}

/** The engine's status. Without a parent there is nothing to sync: `Succeeded` and in sync. */
export function statusOf(view: EngineView): SyncStatus {
  const { wanted, memory, progress, outbox, running, next } = view;
  const details = view.details.list();
  const state = stateOf(view);
  return {
    connectionState: connectionStateOf({
      hasParent: wanted?.parent !== undefined,
      active: wanted?.active ?? false,
      contacted: view.contacted,
      syncing: running?.parentAnswered ?? false,
      details,
    }),
    ...(wanted?.parent && { parentEndpoint: wanted.parent.gatewayEndpoint }),
    trigger: memory.trigger,
    state,
    inSync:
      state === 'Succeeded' &&
      !details.some(({ code }) => code === 'REMOVAL_HELD') &&
      (!wanted?.parent || (outbox.pending === 0 && memory.wanted === wanted.syncKey)),
    ...(memory.lastStart && { lastSyncStartTime: memory.lastStart }),
    ...(memory.lastEnd && { lastSyncEndTime: memory.lastEnd }),
    ...(memory.lastSuccess && { lastSuccessfulSyncEndTime: memory.lastSuccess }),
    ...(next && { nextSyncTime: next }),
    blobsDone: progress.blobsDone,
    blobsTotal: progress.blobsTotal,
    bytesDone: progress.bytesDone,
    bytesTotal: progress.bytesTotal,
    ...(progress.moved && { moved: progress.moved }),
    repositories: progress.repositories,
    outbox,
    details,
  };
}

function stateOf({ wanted, memory, running }: EngineView): SyncState {
  if (!wanted) return 'Pending';
  if (!wanted.active) return 'NotActivated';
  if (!wanted.parent) return 'Succeeded';
  // A pass that was at work when the process ended is still to be done.
  return memory.state === 'Syncing' && running?.kind !== 'pass' ? 'Pending' : memory.state;
}
