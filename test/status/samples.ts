import type { Facts } from '../../modules/registry/src/status/reported-properties.ts';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';

/** A registry that is in sync and idle. */
export function syncStatus(changes: Partial<SyncStatus> = {}): SyncStatus {
  return {
    connectionState: 'Online',
    parentEndpoint: 'contoso.azurecr.io',
    trigger: 'Scheduled',
    state: 'Succeeded',
    inSync: true,
    lastSyncStartTime: new Date('2026-11-24T08:00:00Z'),
    lastSyncEndTime: new Date('2026-11-24T08:05:00Z'),
    lastSuccessfulSyncEndTime: new Date('2026-11-24T08:05:00Z'),
    nextSyncTime: new Date('2026-11-24T10:00:00Z'),
    blobsDone: 4,
    blobsTotal: 4,
    bytesDone: 4000,
    bytesTotal: 4000,
    repositories: [{ name: 'plant/hello', state: 'InSync', tagsInSync: 2, tagsTotal: 2 }],
    outbox: { pending: 0 },
    details: [],
    ...changes,
  };
}

export function sampleFacts(changes: Partial<Facts> = {}): Facts {
  return {
    now: new Date('2026-11-24T09:00:00Z'),
    version: '0.1.0',
    mode: 'ReadWrite',
    settings: { version: 3, status: 'Applied', problems: [] },
    activation: { status: 'Active', instanceId: 'b1', since: new Date('2026-11-24T07:00:00Z') },
    sync: syncStatus(),
    loginServer: { host: 'edge:8080' },
    parent: { gatewayEndpoint: 'contoso.azurecr.io', schedule: '* * * * *' },
    bytesPerSecond: 0,
    storage: { usedBytes: 4000, quotaBytes: 0, freeBytes: 5 * 1024 ** 3 },
    children: [],
    ...changes,
  };
}
