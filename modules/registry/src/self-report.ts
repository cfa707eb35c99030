import { summarize } from './gateway/child-status.ts';
import type { Gateway } from './gateway/open-gateway.ts';
import type { HttpsCertificate } from './https-certificate.ts';
import type { Housekeeping } from './housekeeping.ts';
import type { Integrity } from './integrity.ts';
import type { ChildReport } from './parent/parent.ts';
import { rateAt } from './settings/transfer-rate.ts';
import type { Clock } from './status/clock.ts';
import type { Metrics } from './status/metrics.ts';
import { reportedProperties, type Facts } from './status/reported-properties.ts';
import type { Health } from './status/status-server.ts';
import type { SyncStatus } from './status/sync-status.ts';
import type { Steering } from './steering.ts';
import type { Store } from './store/store.ts';
import type { SyncEngine } from './sync/sync-engine.ts';
import type { JsonObject } from './twin/twin.ts';

export interface SelfReportOptions {
  readonly version: string;
  readonly instanceId: string;
  /** Under which clients know this registry. */
  readonly host: string;
  readonly store: Pick<Store, 'contents'>;
  readonly gateway: Pick<Gateway, 'children'>;
  readonly sync: Pick<SyncEngine, 'status'>;
  readonly integrity: Pick<Integrity, 'details' | 'last'>;
  readonly httpsCertificate: Pick<HttpsCertificate, 'details' | 'expires'>;
  readonly housekeeping: Pick<Housekeeping, 'freeBytes'>;
  readonly steering: Pick<Steering, 'course'>;
  readonly lastActivityTime: () => Date | undefined;
  readonly clock: Pick<Clock, 'now'>;
}

/** What this registry says about itself, to each of those who ask. */
export interface SelfReport {
  /** The reported properties of the module twin. */
  toTwin(): JsonObject;
  toHealth(): Health;
  toMetrics(metrics: Metrics): void;
}

export function createSelfReport(options: SelfReportOptions): SelfReport {
  const { version, instanceId, host, store, gateway, sync, integrity, httpsCertificate, housekeeping } = options;
  const { steering, lastActivityTime, clock } = options;

  return {
    toTwin() {
      const { holder } = steering.course.activation;
      return { ...reportedProperties(facts()), ...(holder && { activation: holder }) };
    },

    toHealth() {
      const { activation, newest } = steering.course;
      const reasons = [
        ...(activation.state === 'active' ? [] : [`activation: ${activation.state}`]),
        ...newest.problems.map(({ path, message }) => `settings ${path}: ${message}`),
        ...syncStatus().details.map(({ code, description }) => `${code}: ${description}`),
      ];
      return { alive: true, serving: activation.state !== 'inactive', reasons };
    },

    toMetrics(metrics) {
      metrics.observeSync(syncStatus());
      metrics.observeCertificate(httpsCertificate.expires);
      metrics.observeChildren(gateway.children());
      metrics.observeStorage(storage());
      metrics.observeRateLimit(bytesPerSecond());
    },
  };

  function facts(): Facts {
    const { settings, warnings, activation, newest } = steering.course;
    const { parent } = settings;
    const rejected = newest.problems.length > 0;
    const lastActivity = lastActivityTime();
    return {
      now: clock.now(),
      version,
      mode: settings.mode,
      settings: {
        version: newest.version,
        status: rejected ? 'Rejected' : 'Applied',
        problems: rejected ? newest.problems : warnings,
      },
      ...(activation.state !== 'held' && {
        activation: {
          status: activation.state === 'active' ? 'Active' : 'Inactive',
          instanceId,
          since: activation.since,
        },
      }),
      sync: syncStatus(),
      loginServer: { host, ...(httpsCertificate.expires && { certificateExpires: httpsCertificate.expires }) },
      ...(parent && {
        parent: { gatewayEndpoint: parent.gatewayEndpoint, schedule: parent.syncProperties.schedule },
      }),
      bytesPerSecond: bytesPerSecond(),
      storage: storage(),
      children: gateway.children(),
      ...(integrity.last && { lastVerification: integrity.last }),
      ...(lastActivity && { lastActivityTime: lastActivity }),
    };
  }

  /** With what the other rooms have to tell an operator. */
  function syncStatus(): SyncStatus {
    const status = sync.status();
    return { ...status, details: [...integrity.details(), ...httpsCertificate.details(), ...status.details] };
  }

  function storage(): Facts['storage'] {
    const { quotaBytes } = steering.course.settings.storage;
    return { usedBytes: store.contents.usedBytes, freeBytes: housekeeping.freeBytes, quotaBytes };
  }

  function bytesPerSecond(): number {
    return rateAt(steering.course.settings.transfer, clock.now()).bytesPerSecond;
  }
}

/** How this registry and those below it are, for its parent. */
export function reportToParent(sync: Pick<SyncEngine, 'status'>, gateway: Pick<Gateway, 'children'>): ChildReport {
  const { connectionState, inSync, outbox, lastSyncEndTime } = sync.status();
  const children = summarize(gateway.children());
  return {
    ...{ connectionState, inSync, outboxPending: outbox.pending },
    ...(lastSyncEndTime && { lastSync: lastSyncEndTime.toISOString() }),
    ...(children && { children }),
  };
}
