import type { Mode, Problem } from '../settings/settings.ts';
import { estimateEnd } from './eta.ts';
import type { ConnectionState, RepositoryProgress, StatusDetail, SyncStatus } from './sync-status.ts';

/** Everything the reported properties are made from. */
export interface Facts {
  readonly now: Date;
  readonly version: string;
  readonly mode: Mode;
  readonly settings: {
    readonly version: number;
    readonly status: 'Applied' | 'Rejected';
    readonly problems: readonly Problem[];
  };
  /** Absent while another instance holds this name: its entry is the lock, and must stay as it is. */
  readonly activation?: { readonly status: 'Active' | 'Inactive'; readonly instanceId: string; readonly since: Date };
  readonly sync: SyncStatus;
  /** `certificateExpires`: of the HTTPS certificate in use; absent: HTTPS is off. */
  readonly loginServer: { readonly host?: string; readonly certificateExpires?: Date };
  /** Absent: this registry has no parent. */
  readonly parent?: { readonly gatewayEndpoint: string; readonly schedule?: string };
  /** That may cross the link to the parent now; 0: no limit. */
  readonly bytesPerSecond: number;
  readonly storage: StorageFacts;
  /** Absent: none came to its end yet. */
  readonly lastVerification?: VerificationFacts;
  readonly children: readonly ChildFacts[];
  readonly lastActivityTime?: Date;
}

export interface StorageFacts {
  readonly usedBytes: number;
  /** 0: no limit. */
  readonly quotaBytes: number;
  readonly freeBytes: number;
}

/** How the last verification of the store ended. */
export interface VerificationFacts {
  readonly end: Date;
  readonly blobs: number;
  readonly bytes: number;
  readonly findings: number;
  readonly repaired: number;
}

export interface ChildFacts {
  readonly name: string;
  readonly mode?: Mode;
  readonly connectionState?: ConnectionState;
  readonly activation?: 'Active' | 'Inactive';
  readonly inSync?: boolean;
  readonly version?: string;
  readonly lastSync?: Date;
  /** When it last told how it is. */
  readonly lastSeen?: Date;
  readonly outboxPending?: number;
  readonly below?: ChildrenSummary;
}

/** Everybody below a registry, at any depth. */
export interface ChildrenSummary {
  readonly total: number;
  readonly inSync: number;
  readonly worst: ConnectionState;
}

export type ReportedValue = null | boolean | number | string | readonly ReportedValue[] | Reported;
export interface Reported {
  readonly [key: string]: ReportedValue;
}

/** IoT Hub takes 32 KB a section; the rest is left for the nulls of a patch that removes properties. */
export const reportedBytesLimit = 28 * 1024;
const textLimit = 300;
const rowLimits = [50, 25, 12, 6, 3, 1, 0] as const;
const freeStepBytes = 16 * 1024 * 1024;
/** IoT Hub's largest integer in a twin. */
const largestInteger = 2 ** 52 - 1;

/**
 * The whole reported section of the module twin (product contract, "Reported properties"). It stays under the twin's limits
 * however much there is to tell: lists are cut to their most telling rows and `omitted` counts what was left out.
 * Values that move all the time are rounded, so that an idle registry has nothing new to report.
 */
export function reportedProperties(facts: Facts): Reported {
  let properties: Reported = {};
  for (const rows of rowLimits) {
    properties = propertiesWith(facts, rows);
    if (Buffer.byteLength(JSON.stringify(properties)) <= reportedBytesLimit) break;
  }
  return properties;
}

function propertiesWith(facts: Facts, rows: number): Reported {
  const { sync, activation, settings, storage, parent } = facts;
  const details = everyCodeFirst(sync.details).slice(0, rows);
  const problems = settings.problems.slice(0, rows);
  const children = [...facts.children]
    .sort((a, b) => Number(a.inSync === true) - Number(b.inSync === true))
    .slice(0, rows);
  const repositories = mostTelling(sync.repositories).slice(0, rows);
  return compact({
    version: text(facts.version),
    mode: facts.mode,
    inSync: sync.inSync,
    connectionState: sync.connectionState,
    activation: activation && {
      status: activation.status,
      instanceId: text(activation.instanceId),
      since: time(activation.since),
    },
    lastActivityTime: minute(facts.lastActivityTime),
    loginServer: compact({
      host: text(facts.loginServer.host),
      tls: compact({
        status: facts.loginServer.certificateExpires ? 'Enabled' : 'Disabled',
        expires: time(facts.loginServer.certificateExpires),
      }),
    }),
    parent:
      parent &&
      compact({
        gatewayEndpoint: text(parent.gatewayEndpoint),
        syncProperties: compact({
          schedule: text(parent.schedule),
          lastSyncTime: time(sync.lastSyncEndTime),
          nextSyncTime: time(sync.nextSyncTime),
        }),
      }),
    statusDetails: details.map((detail) => ({
      type: text(detail.type),
      code: text(detail.code),
      description: text(detail.description),
      timestamp: time(detail.timestamp),
      correlationId: text(detail.correlationId),
    })),
    registrySyncResult: compact({
      syncTrigger: sync.trigger,
      syncState: sync.state,
      lastSyncStartTime: time(sync.lastSyncStartTime),
      lastSyncEndTime: time(sync.lastSyncEndTime),
      lastSuccessfulSyncEndTime: time(sync.lastSuccessfulSyncEndTime),
    }),
    syncProgress: compact({
      blobsDone: whole(sync.blobsDone),
      blobsTotal: whole(sync.blobsTotal),
      bytesDone: whole(sync.bytesDone),
      bytesTotal: whole(sync.bytesTotal),
      eta: time(endOf(sync, facts.now)),
      repositoriesTotal: sync.repositories.length,
      repositoriesInSync: sync.repositories.filter(({ state }) => state === 'InSync').length,
      repositories: repositories.map((repository) =>
        compact({
          name: text(repository.name),
          state: repository.state,
          tagsInSync: whole(repository.tagsInSync),
          tagsTotal: whole(repository.tagsTotal),
          ...(repository.bytesTotal !== undefined && {
            bytesDone: whole(repository.bytesDone ?? 0),
            bytesTotal: whole(repository.bytesTotal),
          }),
          lastError: text(repository.lastError),
        }),
      ),
    }),
    transfer: { bytesPerSecond: facts.bytesPerSecond },
    outbox: compact({ pending: whole(sync.outbox.pending), oldest: time(sync.outbox.oldest) }),
    storage: {
      usedBytes: whole(storage.usedBytes),
      quotaBytes: whole(storage.quotaBytes),
      freeBytes: whole(Math.floor(storage.freeBytes / freeStepBytes) * freeStepBytes),
    },
    lastVerification:
      facts.lastVerification &&
      compact({
        end: time(facts.lastVerification.end),
        blobs: whole(facts.lastVerification.blobs),
        bytes: whole(facts.lastVerification.bytes),
        findings: whole(facts.lastVerification.findings),
        repaired: whole(facts.lastVerification.repaired),
      }),
    children: children.map((child) =>
      compact({
        name: text(child.name),
        mode: child.mode,
        connectionState: child.connectionState,
        activation: child.activation,
        inSync: child.inSync,
        version: text(child.version),
        lastSync: minute(child.lastSync),
        lastSeen: minute(child.lastSeen),
        outboxPending: child.outboxPending,
        children: child.below && { ...child.below },
      }),
    ),
    settings: {
      version: whole(settings.version),
      status: settings.status,
      problems: problems.map(({ path, message }) => ({ path: text(path), message: text(message) })),
    },
    omitted: omitted({
      statusDetails: sync.details.length - details.length,
      problems: settings.problems.length - problems.length,
      children: facts.children.length - children.length,
      repositories: sync.repositories.length - repositories.length,
    }),
  });
}

const urgency = { Failed: 0, Syncing: 1, Pending: 2, InSync: 3 } as const satisfies Record<
  RepositoryProgress['state'],
  number
>;

/** What needs a person first, then what moves, then the rest; by name within each. */
export function mostTelling(repositories: readonly RepositoryProgress[]): RepositoryProgress[] {
  return [...repositories].sort((a, b) => urgency[a.state] - urgency[b.state] || (a.name < b.name ? -1 : 1));
}

/** The first detail of each code, then the second, and so on: a hundred failing repositories do not hide a full disk. */
function everyCodeFirst(details: readonly StatusDetail[]): StatusDetail[] {
  const seen = new Map<string, number>();
  const ranked = details.map((detail) => {
    const rank = seen.get(detail.code) ?? 0;
    seen.set(detail.code, rank + 1);
    return { detail, rank };
  });
  return ranked.sort((a, b) => a.rank - b.rank).map(({ detail }) => detail);
}

function endOf(sync: SyncStatus, now: Date): Date | undefined {
  const { connectionState, moved, bytesDone, bytesTotal } = sync;
  if (connectionState !== 'Syncing' || !moved) return undefined;
  return estimateEnd({ since: moved.since, bytesMoved: moved.bytes, bytesLeft: bytesTotal - bytesDone }, now);
}

function omitted(counts: Record<string, number>): Reported | undefined {
  const left = Object.entries(counts).filter(([, count]) => count > 0);
  return left.length === 0 ? undefined : Object.fromEntries(left);
}

/** Leaves out what is undefined: a twin has no such value. */
function compact(values: Readonly<Record<string, ReportedValue | undefined>>): Reported {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Reported;
}

function text(value: string): string;
function text(value: string | undefined): string | undefined;
/** Cut at 300 characters, never inside a surrogate pair. */
function text(value: string | undefined): string | undefined {
  if (value === undefined || value.length <= textLimit) return value;
  return `${value.slice(0, textLimit - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

function time(value: Date): string;
function time(value: Date | undefined): string | undefined;
function time(value: Date | undefined): string | undefined {
  return value?.toISOString();
}

function minute(value: Date | undefined): string | undefined {
  return value && time(new Date(Math.floor(value.getTime() / 60_000) * 60_000));
}

function whole(value: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(0, Math.round(value)), largestInteger) : 0;
}
