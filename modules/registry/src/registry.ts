import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createAuth } from './auth/create-auth.ts';
import { readParentRoots } from './certificate-folder.ts';
import { summarize } from './gateway/child-status.ts';
import { openGateway } from './gateway/open-gateway.ts';
import { createApi } from './http/create-api.ts';
import { startListeners } from './http/start-listeners.ts';
import { answerDirectMethods } from './direct-methods.ts';
import { startGarbageCollection } from './garbage-collection.ts';
import { keepHttpsCertificate } from './https-certificate.ts';
import { readAdmin, readIdentity } from './identity.ts';
import { startIntegrity } from './integrity.ts';
import { startNotifications } from './notifications.ts';
import { openTwin } from './open-twin.ts';
import type { ChildReport } from './parent/parent.ts';
import { connectParent } from './parent/connect-parent.ts';
import type { Environment } from './settings/environment.ts';
import { rateAt } from './settings/transfer-rate.ts';
import { systemClock, type Clock } from './status/clock.ts';
import type { LeveledLog } from './status/create-log.ts';
import { createMetrics } from './status/metrics.ts';
import { reportedProperties, type Facts } from './status/reported-properties.ts';
import { startStatusServer, type Health } from './status/status-server.ts';
import type { SyncStatus } from './status/sync-status.ts';
import { createSteering, type Activation, type Course } from './steering.ts';
import { openStore } from './store/open-store.ts';
import type { Damage } from './store/store.ts';
import { createSyncEngine } from './sync/engine.ts';
import { createOnDemand } from './sync/on-demand.ts';
import { createReporter } from './twin/reporter.ts';
import type { JsonObject } from './twin/twin.ts';
import { workloadApiOf } from './twin/workload-api.ts';

export interface RegistryOptions {
  readonly environment: Environment;
  /** The process environment: `$NAME` in settings, and what the IoT Edge SDK needs. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly log: LeveledLog;
  /** Shows the generated admin password, once, outside IoT Edge. */
  readonly showAdmin: (name: string, password: string) => void;
  readonly clock?: Clock;
}

export interface Registry {
  readonly http: AddressInfo | undefined;
  readonly https: AddressInfo | undefined;
  readonly metrics: AddressInfo | undefined;
  close(): Promise<void>;
}

/** How often the free disk space is measured. */
const diskIntervalMs = 60_000;
/** Asked of the daemon, which decides for itself. */
const certificateLifetimeMs = 30 * 86_400_000;

/** One connected registry: opens every room, lets them hear of each other, closes them in reverse. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { environment, variables, version, log, showAdmin, clock = systemClock } = options;
  const closing = new AbortController();
  let patience = new AbortController();
  let course: Course | undefined;
  let lastActivityTime: Date | undefined;
  /** Before the twin was read nobody knows whose activation a report would overwrite. */
  let mayReport = !environment.iotEdge;
  /** Becomes real once everything it speaks of is open. */
  let publish = (): void => undefined;
  let noteDamage: (damage: Damage) => void = () => undefined;

  const workload = workloadApiOf(variables);
  const store = await openStore({
    directory: environment.dataVolume,
    clock,
    log,
    carries: () => course?.settings.mode === 'ReadWrite' && course.settings.parent !== undefined,
    onDamage: (damage) => noteDamage(damage),
  });
  const identity = await readIdentity(store.records, environment.dataVolume);
  const admin = environment.iotEdge ? undefined : await readAdmin(store.records, showAdmin);
  const auth = createAuth({ signingKey: identity.signingKey, clock, log, ...(admin && { admin }) });
  const metrics = createMetrics({ clock, labels: metricLabels(variables) });
  let freeBytes = await store.freeBytes();

  const gateway = await openGateway({ records: store.records, clock, log, onChange: () => publish() });

  const name = environment.connection?.connectedRegistryName;
  const sync = createSyncEngine({
    store,
    connect: ({ gatewayEndpoint, protocol, syncToken }) =>
      connectParent({
        endpoint: gatewayEndpoint,
        protocol,
        ...(syncToken && { credentials: syncToken }),
        certificateAuthorities: parentRoots,
        ...(name !== undefined && { self: { registryName: name, instanceId: identity.instanceId, version } }),
        clock,
        log,
      }),
    clock,
    log,
    onStatus: () => publish(),
    onRecovered: () => integrity.recovered(),
    describe: reportToParent,
  });
  const onDemand = createOnDemand({
    store,
    link: () => sync.link(),
    clock,
    log,
    onAnswer: (result) => metrics.observeOnDemand(result),
  });

  const integrity = await startIntegrity({
    store,
    hasParent: () => course?.settings.parent !== undefined,
    recover: () => sync.recover(),
    clock,
    log,
    onChange: () => publish(),
    onEnd(findings) {
      metrics.observeVerification(findings);
      publish();
    },
  });
  noteDamage = (damage) => integrity.noteDamage(damage);

  const garbage = await startGarbageCollection({
    store,
    clock,
    log,
    onEnd(collected) {
      metrics.observeCollection(collected?.bytes);
      publish();
    },
  });

  const twin = openTwin({ environment, variables, clock, log, onProblem: (problem) => steering.refuse(problem) });
  const notifications = startNotifications({
    store,
    twin,
    registryName: environment.connection?.connectedRegistryName ?? 'connectedregistry',
    instanceId: identity.instanceId,
    clock,
    log,
    onSent: () => metrics.observeNotification(),
  });

  const steering = await createSteering({
    records: store.records,
    instanceId: identity.instanceId,
    connection: environment.connection,
    variables,
    clock,
    log,
    onCourse(next) {
      course = next;
      patience.abort();
      patience = new AbortController();
      log.setLevel(next.settings.logging.logLevel);
      metrics.observeInfo({ version, mode: next.settings.mode });
      auth.apply(next.settings);
      gateway.apply(next.settings);
      const active = next.activation.state === 'active';
      sync.apply(next.settings, { active });
      onDemand.apply(next.settings, { active });
      garbage.apply(next.settings, { active });
      notifications.apply(next.settings, { active });
      publish();
    },
  });

  let carriedHead = store.journal.head;
  const api = createApi({
    store,
    auth,
    gateway,
    state: () => ({
      mode: steering.course.settings.mode,
      ...refusalOf(steering.course.activation.state),
      quotaBytes: steering.course.settings.storage.quotaBytes,
      auditLog: steering.course.settings.logging.auditLogStatus === 'Enabled',
    }),
    loginServer: environment.loginServer,
    trustedProxies: environment.trustedProxies,
    log,
    clock,
    patience: () => patience.signal,
    onMiss: onDemand,
    onRequest: (sample) => metrics.observeRequest(sample),
    onChange() {
      lastActivityTime = clock.now();
      // A blob is carried with the manifest that follows it.
      if (store.journal.head === carriedHead) return;
      carriedHead = store.journal.head;
      sync.wake();
    },
  });
  const listeners = await startListeners({
    api,
    httpPort: environment.httpPort,
    httpsPort: environment.httpsPort,
    bindAddress: environment.bindAddress,
    log,
  });
  const httpsCertificate = await keepHttpsCertificate({
    folder: environment.certificateVolume,
    ...(workload && environment.httpsPort !== 'off' && { issue: () => workload.serverCertificate(certificateWish()) }),
    use: (pair) => listeners.secure(pair),
    clock,
    log,
    onChange: () => publish(),
  });
  const statusServer = await startStatusServer({
    port: environment.metricsPort,
    bindAddress: environment.bindAddress,
    metrics,
    health,
    log,
  });

  const reporter = createReporter({ twin, clock, log });
  publish = () => {
    metrics.observeSync(syncStatus());
    metrics.observeCertificate(httpsCertificate.expires);
    metrics.observeChildren(gateway.children());
    metrics.observeStorage(storageFacts());
    metrics.observeRateLimit(rateNow());
    if (mayReport) reporter.set(report());
  };
  twin.onDesired((document) => {
    steering.accept(document).then(
      () => {
        mayReport = true;
        reporter.rebase(document.reported);
        publish();
      },
      (error: unknown) => log.error('settings not stored', { error }),
    );
  });
  answerDirectMethods({ twin, instanceId: identity.instanceId, sync, garbage, integrity, clock, steering, report });
  twin.start();
  const measuring = measureDisk();
  publish();
  log.info('connected registry started', { version, instanceId: identity.instanceId });

  return {
    http: listeners.http,
    get https() {
      return listeners.https;
    },
    metrics: statusServer.address,
    async close() {
      closing.abort(new Error('closing'));
      patience.abort();
      await onDemand.close();
      await sync.close();
      await integrity.close();
      await garbage.close();
      await httpsCertificate.close();
      await listeners.close();
      await statusServer.close();
      await measuring;
      // A message on its way ends with the connection at the latest.
      const silenced = notifications.close();
      await reporter.close();
      await twin.close();
      await silenced;
      await store.close();
      log.info('connected registry stopped');
    },
  };

  function report(): JsonObject {
    const { holder } = steering.course.activation;
    return { ...reportedProperties(facts()), ...(holder && { activation: holder }) };
  }

  function facts(): Facts {
    const { settings, warnings, activation, newest } = steering.course;
    const rejected = newest.problems.length > 0;
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
          instanceId: identity.instanceId,
          since: activation.since,
        },
      }),
      sync: syncStatus(),
      loginServer: {
        host: environment.loginServer ?? variables['IOTEDGE_GATEWAYHOSTNAME'] ?? environment.bindAddress,
        ...(httpsCertificate.expires && { certificateExpires: httpsCertificate.expires }),
      },
      ...(settings.parent && {
        parent: {
          gatewayEndpoint: settings.parent.gatewayEndpoint,
          schedule: settings.parent.syncProperties.schedule,
        },
      }),
      bytesPerSecond: rateNow(),
      storage: storageFacts(),
      children: gateway.children(),
      ...(integrity.last && { lastVerification: integrity.last }),
      ...(lastActivityTime && { lastActivityTime }),
    };
  }

  function reportToParent(): ChildReport {
    const { connectionState, inSync, outbox, lastSyncEndTime } = sync.status();
    const children = summarize(gateway.children());
    return {
      ...{ connectionState, inSync, outboxPending: outbox.pending },
      ...(lastSyncEndTime && { lastSync: lastSyncEndTime.toISOString() }),
      ...(children && { children }),
    };
  }

  /** With what the other rooms have to tell an operator. */
  function syncStatus(): SyncStatus {
    const status = sync.status();
    return { ...status, details: [...integrity.details(), ...httpsCertificate.details(), ...status.details] };
  }

  /** For the name under which this device's clients know it. */
  function certificateWish(): { commonName: string; expiration: Date } {
    const [commonName = 'localhost'] = (variables['IOTEDGE_GATEWAYHOSTNAME'] ?? 'localhost').split(':');
    return { commonName, expiration: new Date(clock.now().getTime() + certificateLifetimeMs) };
  }

  function storageFacts(): Facts['storage'] {
    const { quotaBytes } = steering.course.settings.storage;
    return { usedBytes: store.contents.usedBytes, freeBytes, quotaBytes };
  }

  function rateNow(): number {
    return rateAt(steering.course.settings.transfer, clock.now()).bytesPerSecond;
  }

  function health(): Health {
    const { activation, newest } = steering.course;
    const reasons = [
      ...(activation.state === 'active' ? [] : [`activation: ${activation.state}`]),
      ...newest.problems.map(({ path, message }) => `settings ${path}: ${message}`),
      ...syncStatus().details.map(({ code, description }) => `${code}: ${description}`),
    ];
    return { alive: true, serving: activation.state !== 'inactive', reasons };
  }

  /** Beside Node's own roots: the folder's `ca.crt`, and inside IoT Edge the trust bundle. */
  async function parentRoots(): Promise<readonly string[]> {
    const roots = [await readParentRoots(environment.certificateVolume), await workload?.trustBundle()];
    return roots.filter((pem) => pem !== undefined);
  }

  async function measureDisk(): Promise<void> {
    try {
      while (!closing.signal.aborted) {
        await clock.wait(diskIntervalMs, closing.signal);
        freeBytes = await store.freeBytes();
        publish();
      }
    } catch (error) {
      if (!closing.signal.aborted) log.error('disk use cannot be measured', { error });
    }
  }
}

/** A registry held by another instance still serves what it has; an inactive one serves nothing. */
function refusalOf(activation: Activation['state']): { refusal?: 'INACTIVE' | 'ALREADY_ACTIVATED' } {
  if (activation === 'active') return {};
  return { refusal: activation === 'inactive' ? 'INACTIVE' : 'ALREADY_ACTIVATED' };
}

/** As edgeHub labels its own metrics; none outside IoT Edge. */
function metricLabels(variables: RegistryOptions['variables']): Record<string, string> {
  const { IOTEDGE_IOTHUBHOSTNAME: iothub, IOTEDGE_DEVICEID: device } = variables;
  if (iothub === undefined || device === undefined) return {};
  return { iothub, edge_device: device, instance_number: randomUUID() };
}
