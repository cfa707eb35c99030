import type { SyncState, SyncStatus } from '../status/sync-status.ts';
import type { AheadProgress, TransferCounts } from './ahead-progress.ts';
import { connectionStateOf } from './connection-state.ts';
import type { Details } from './details.ts';
import type { PassProgress } from './progress.ts';
import type { SyncMemory } from './sync-memory.ts';
import type { Wanted } from './wanted.ts';

export interface EngineView {
  readonly wanted: Wanted | undefined;
  readonly memory: SyncMemory;
  readonly progress: PassProgress;
  readonly ahead: Pick<AheadProgress, 'counts' | 'isUnderWay' | 'start' | 'movedBytes'>;
  readonly details: Details;
  readonly outbox: SyncStatus['outbox'];
  readonly contacted: boolean;
  readonly running: { readonly kind: 'pass' | 'drain' | 'release'; readonly parentAnswered: boolean } | undefined;
  readonly next: Date | undefined;
}

/** The engine's status. Without a parent there is nothing to sync: `Succeeded` and in sync. */
export function statusOf(view: EngineView): SyncStatus {
  const { wanted, memory, progress, ahead, outbox, running, next } = view;
  const details = view.details.list();
  const state = stateOf(view);
  return {
    connectionState: connectionStateOf({
      hasParent: wanted?.parent !== undefined,
      active: wanted?.active ?? false,
      contacted: view.contacted,
      syncing: running?.parentAnswered === true || ahead.isUnderWay,
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
    ...countsOf(view),
    repositories: progress.repositories,
    outbox,
    details,
  };
}

/** Between two passes what comes for the next one takes the place of what the last one did. */
function countsOf({ progress, ahead, running }: EngineView): TransferCounts & Pick<SyncStatus, 'moved'> {
  const { counts, start } = ahead;
  const isBetween = start !== undefined && running?.parentAnswered !== true;
  if (isBetween) return { ...counts, moved: { since: start, bytes: ahead.movedBytes(start) } };
  const { blobsDone, blobsTotal, bytesDone, bytesTotal, moved } = progress;
  return {
    blobsDone: blobsDone + counts.blobsDone,
    blobsTotal: blobsTotal + counts.blobsTotal,
    bytesDone: bytesDone + counts.bytesDone,
    bytesTotal: bytesTotal + counts.bytesTotal,
    ...(moved && { moved: { since: moved.since, bytes: moved.bytes + ahead.movedBytes(moved.since) } }),
  };
}

function stateOf({ wanted, memory, running }: EngineView): SyncState {
  if (!wanted) return 'Pending';
  if (!wanted.active) return 'NotActivated';
  if (!wanted.parent) return 'Succeeded';
  // A pass that was at work when the process ended is still to be done.
  return memory.state === 'Syncing' && running?.kind !== 'pass' ? 'Pending' : memory.state;
}
