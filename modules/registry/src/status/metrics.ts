import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Mode } from '../settings/settings.ts';
import { systemClock, type Clock } from './clock.ts';
import { metricsTable, type MetricName } from './metrics-table.ts';
import { mostTelling, type ChildFacts, type StorageFacts } from './reported-properties.ts';
import type { ConnectionState, RepositoryProgress, SyncState, SyncStatus } from './sync-status.ts';

/** One answered request. */
export interface RequestSample {
  /** The endpoint's id, `end-2` or `token`, `none` where no row matched; never the path, which clients choose. */
  readonly endpoint: string;
  readonly method: string;
  /** 499 when the client went away before it was answered. */
  readonly status: number;
  readonly seconds: number;
  /** As the socket counts: heads included. */
  readonly bytesSent: number;
  /** Body bytes. */
  readonly bytesReceived: number;
}

/** What became of a client's miss. */
export type OnDemandResult = 'Found' | 'Missing' | 'Failed';

export interface MetricsOptions {
  /** Put on every sample: `iothub`, `edge_device`, `instance_number`, as edgeHub's metrics have them. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly clock?: Pick<Clock, 'now'>;
}

export interface Metrics {
  observeInfo(info: { readonly version: string; readonly mode: Mode }): void;
  observeRequest(sample: RequestSample): void;
  /** Call it on every change of the sync status; passes are counted by their end times. */
  observeSync(status: SyncStatus): void;
  observeChildren(children: readonly ChildFacts[]): void;
  observeStorage(storage: StorageFacts): void;
  /** 0: no limit. */
  observeRateLimit(bytesPerSecond: number): void;
  observeOnDemand(result: OnDemandResult): void;
  /** When the HTTPS certificate in use ends; undefined: HTTPS is off. */
  observeCertificate(expires: Date | undefined): void;
  /** An event was taken by the hub. */
  observeNotification(): void;
  /** A garbage collection ended; `freedBytes` undefined: it failed. */
  observeCollection(freedBytes: number | undefined): void;
  /** A verification of the store ended; `findings` undefined: it failed. */
  observeVerification(findings: number | undefined): void;
  /** Prometheus text format 0.0.4. */
  render(): Promise<string>;
  readonly contentType: string;
}

/** More would make a series for every repository of a large registry. */
const repositoryLimit = 100;
const childLimit = 100;
const secondsBuckets = [0.005, 0.05, 0.5, 5, 60];
const connectionStates: readonly ConnectionState[] = ['Online', 'Offline', 'Syncing', 'Unhealthy'];
const repositoryStates: readonly RepositoryProgress['state'][] = ['Pending', 'Syncing', 'InSync', 'Failed'];

/** Measurements on a registry of their own. No value is ever NaN or infinite: the IoT Edge metrics collector skips those. */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const { labels = {}, clock = systemClock } = options;
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  const parts = (name: MetricName) => {
    const row = metricsTable[name];
    return { name: row.name, help: row.meaning, labelNames: [...row.labels], registers: [registry] };
  };
  const gauge = (name: MetricName): Gauge => new Gauge(parts(name));
  const counter = (name: MetricName): Counter => new Counter(parts(name));

  const info = gauge('info');
  const requests = counter('requests');
  const requestSeconds = new Histogram({ ...parts('requestSeconds'), buckets: secondsBuckets });
  const sentBytes = counter('sentBytes');
  const receivedBytes = counter('receivedBytes');
  const connectionState = gauge('connectionState');
  const statusDetails = gauge('statusDetails');
  const inSync = gauge('inSync');
  const passes = counter('passes');
  const lastSuccess = gauge('lastSuccess');
  const blobsDone = gauge('blobsDone');
  const blobsPlanned = gauge('blobsPlanned');
  const bytesDone = gauge('bytesDone');
  const bytesPlanned = gauge('bytesPlanned');
  const repositories = gauge('repositories');
  const tags = gauge('tags');
  const tagsInSync = gauge('tagsInSync');
  const outboxPending = gauge('outboxPending');
  const outboxAge = gauge('outboxAge');
  const childInSync = gauge('childInSync');
  const childState = gauge('childState');
  const childLastSeen = gauge('childLastSeen');
  const rateLimit = gauge('rateLimit');
  const onDemand = counter('onDemand');
  const certificateExpiry = gauge('certificateExpiry');
  const notificationsSent = counter('notificationsSent');
  const storageUsed = gauge('storageUsed');
  const storageFree = gauge('storageFree');
  const storageQuota = gauge('storageQuota');
  const collections = counter('collections');
  const collectedBytes = counter('collectedBytes');
  const verifications = counter('verifications');
  const findings = gauge('findings');
  const residentMemory = gauge('residentMemory');
  const heapUsed = gauge('heapUsed');
  const cpuSeconds = counter('cpuSeconds');
  gauge('startTime').set(Math.round(clock.now().getTime() / 1000 - process.uptime()));

  let lastEndMs: number | undefined;
  let outboxOldest: Date | undefined;

  return {
    contentType: registry.contentType,

    observeInfo({ version, mode }) {
      info.reset();
      info.set({ version, mode }, 1);
    },

    observeRequest({ endpoint, method, status, seconds, bytesSent, bytesReceived }) {
      requests.inc({ endpoint, method, status });
      requestSeconds.observe({ endpoint }, seconds);
      if (bytesSent > 0) sentBytes.inc({ endpoint }, bytesSent);
      if (bytesReceived > 0) receivedBytes.inc({ endpoint }, bytesReceived);
    },

    observeSync(status) {
      const endMs = status.lastSyncEndTime?.getTime();
      if (endMs !== undefined && endMs !== lastEndMs) {
        lastEndMs = endMs;
        passes.inc({ result: passResult(status) });
      }
      for (const state of connectionStates) connectionState.set({ state }, Number(state === status.connectionState));
      statusDetails.reset();
      for (const { type, code } of status.details) statusDetails.inc({ type, code });
      inSync.set(Number(status.inSync));
      lastSuccess.set((status.lastSuccessfulSyncEndTime?.getTime() ?? 0) / 1000);
      blobsDone.set(status.blobsDone);
      blobsPlanned.set(status.blobsTotal);
      bytesDone.set(status.bytesDone);
      bytesPlanned.set(status.bytesTotal);
      for (const state of repositoryStates) {
        repositories.set({ state }, status.repositories.filter((row) => row.state === state).length);
      }
      tags.reset();
      tagsInSync.reset();
      for (const row of mostTelling(status.repositories).slice(0, repositoryLimit)) {
        tags.set({ repository: row.name }, row.tagsTotal);
        tagsInSync.set({ repository: row.name }, row.tagsInSync);
      }
      outboxPending.set(status.outbox.pending);
      outboxOldest = status.outbox.oldest;
    },

    observeChildren(children) {
      for (const series of [childInSync, childState, childLastSeen]) series.reset();
      for (const { name: child, inSync: isInSync, connectionState: state = 'Offline', lastSeen } of children.slice(
        0,
        childLimit,
      )) {
        childInSync.set({ child }, Number(isInSync === true));
        childState.set({ child, state }, 1);
        childLastSeen.set({ child }, (lastSeen?.getTime() ?? 0) / 1000);
      }
    },

    observeStorage({ usedBytes, freeBytes, quotaBytes }) {
      storageUsed.set(usedBytes);
      storageFree.set(freeBytes);
      storageQuota.set(quotaBytes);
    },

    observeRateLimit: (bytesPerSecond) => rateLimit.set(bytesPerSecond),
    observeOnDemand: (result) => onDemand.inc({ result }),
    observeCertificate(expires) {
      certificateExpiry.set(expires ? expires.getTime() / 1000 : 0);
    },

    observeNotification() {
      notificationsSent.inc();
    },

    observeCollection(freedBytes) {
      collections.inc({ result: freedBytes === undefined ? 'Failed' : 'Succeeded' });
      collectedBytes.inc(freedBytes ?? 0);
    },

    observeVerification(found) {
      verifications.inc({ result: found === undefined ? 'Failed' : found === 0 ? 'Clean' : 'Damaged' });
      if (found !== undefined) findings.set(found);
    },

    render() {
      outboxAge.set(outboxOldest ? Math.max(0, (clock.now().getTime() - outboxOldest.getTime()) / 1000) : 0);
      const memory = process.memoryUsage();
      residentMemory.set(memory.rss);
      heapUsed.set(memory.heapUsed);
      const { user, system } = process.cpuUsage();
      cpuSeconds.reset();
      cpuSeconds.inc((user + system) / 1e6);
      return registry.metrics();
    },
  };
}

/** How the last ended pass ended; the next one may be running already. */
export function passResult(status: SyncStatus): Extract<SyncState, 'Succeeded' | 'Failed' | 'TimedOut'> {
  if (status.lastSyncEndTime?.getTime() === status.lastSuccessfulSyncEndTime?.getTime()) return 'Succeeded';
  return status.state === 'TimedOut' ? 'TimedOut' : 'Failed';
}
