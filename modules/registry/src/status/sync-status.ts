/** What the sync room knows of itself; reported properties, metrics and logs are made from it. */
export type SyncTrigger = 'InitialSync' | 'Scheduled' | 'ManualResync' | 'SyncTokenUpdate' | 'RecoveryService';
export type SyncState = 'NotActivated' | 'Pending' | 'Syncing' | 'Succeeded' | 'Failed' | 'TimedOut';
export type ConnectionState = 'Online' | 'Offline' | 'Syncing' | 'Unhealthy';

/** A condition an operator should know of; gone from the list once it no longer holds. */
export interface StatusDetail {
  /** The area: `Parent`, `Sync`, `Settings`, `Disk`, `Activation`. */
  readonly type: string;
  /** Stable name to search for: `PARENT_UNREACHABLE`, `TAG_CONFLICT`. */
  readonly code: string;
  readonly description: string;
  readonly timestamp: Date;
  readonly correlationId: string;
}

export interface RepositoryProgress {
  readonly name: string;
  readonly state: 'Pending' | 'Syncing' | 'InSync' | 'Failed';
  readonly tagsInSync: number;
  readonly tagsTotal: number;
  /** Of blobs that crossed the link, or have to, in the last pass that looked at it; absent: none did. */
  readonly bytesDone?: number;
  readonly bytesTotal?: number;
  readonly lastError?: string;
}

export interface SyncStatus {
  readonly connectionState: ConnectionState;
  readonly parentEndpoint?: string;
  readonly trigger: SyncTrigger;
  readonly state: SyncState;
  /** The one answer to "is this site in sync?": the last pass succeeded, nothing is left to carry up. */
  readonly inSync: boolean;
  readonly lastSyncStartTime?: Date;
  readonly lastSyncEndTime?: Date;
  readonly lastSuccessfulSyncEndTime?: Date;
  readonly nextSyncTime?: Date;
  readonly blobsDone: number;
  readonly blobsTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Of it, what has crossed the link since it began to come: not what had crossed before, and was gone on with. */
  readonly moved?: { readonly since: Date; readonly bytes: number };
  readonly repositories: readonly RepositoryProgress[];
  readonly outbox: { readonly pending: number; readonly oldest?: Date };
  readonly details: readonly StatusDetail[];
}
