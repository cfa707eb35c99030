import type { AddressInfo } from 'node:net';
import { createAuth } from './auth/create-auth.ts';
import { readParentRoots } from './certificate-folder.ts';
import { openGateway } from './gateway/open-gateway.ts';
import { createApi } from './http/create-api.ts';
import { startListeners } from './http/start-listeners.ts';
import { edgeDevice } from './edge-device.ts';
import { answerDirectMethods } from './direct-methods.ts';
import { startGarbageCollection } from './garbage-collection.ts';
import { startHousekeeping } from './housekeeping.ts';
import { keepHttpsCertificate } from './https-certificate.ts';
import { readAdmin, readIdentity } from './identity.ts';
import { startIntegrity } from './integrity.ts';
import { startNotifications } from './notifications.ts';
import { openTwin } from './open-twin.ts';
import { connectParent } from './parent/connect-parent.ts';
import type { Environment } from './settings/environment.ts';
import { defaultMessageTtlMs } from './settings/schema.ts';
import { systemClock, type Clock } from './status/clock.ts';
import type { LeveledLog } from './status/create-log.ts';
import { createMetrics } from './status/metrics.ts';
import { startStatusServer } from './status/status-server.ts';
import { createSelfReport, reportToParent } from './self-report.ts';
import { createSteering, type Activation, type Course } from './steering.ts';
import { openStore } from './store/open-store.ts';
import type { Damage } from './store/store.ts';
import { createSyncEngine } from './sync/engine.ts';
import { createOnDemand } from './sync/on-demand.ts';
import { createReporter } from './twin/reporter.ts';
import type { JsonObject } from './twin/twin.ts';

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

/** One connected registry: opens every room, lets them hear of each other, closes them in reverse. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { environment, variables, version, log, showAdmin, clock = systemClock } = options;
  let patience = new AbortController();
  let course: Course | undefined;
  let lastActivityTime: Date | undefined;
  /** Before the twin was read nobody knows whose activation a report would overwrite. */
  let mayReport = !environment.iotEdge;
  /** Becomes real once everything it speaks of is open. */
  let publish = (): void => undefined;
  let noteDamage: (damage: Damage) => void = () => undefined;

  const device = edgeDevice({ variables, clock });
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
  const metrics = createMetrics({ clock, labels: device.metricLabels });

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
        records: store.records,
        ...(name !== undefined && { self: { registryName: name, instanceId: identity.instanceId, version } }),
        clock,
        log,
      }),
    clock,
    log,
    onStatus: () => publish(),
    onRecovered: () => integrity.recovered(),
    onArriving: (blob) => gateway.arrivals.begin(blob),
    describe: () => reportToParent(sync, gateway),
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
      // A parent in the connection string is asked for nothing by a mode and repositories that nobody chose.
      if (!next.isDefault || !next.settings.parent) sync.apply(next.settings, { active });
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
    onMiss: {
      ...onDemand,
      openArriving: (...asked) => sync.openArriving(...asked),
    },
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
    ...(device.issueCertificate && environment.httpsPort !== 'off' && { issue: device.issueCertificate }),
    use: (pair) => listeners.secure(pair),
    clock,
    log,
    onChange: () => publish(),
  });
  const housekeeping = await startHousekeeping({
    store,
    messageTtlMs: () => steering.course.settings.parent?.syncProperties.messageTtlMs ?? defaultMessageTtlMs,
    clock,
    log,
    onMeasured: () => publish(),
  });
  const selfReport = createSelfReport({
    ...{ version, instanceId: identity.instanceId, store, gateway, sync, integrity, httpsCertificate, housekeeping },
    host: environment.loginServer ?? device.hostName ?? environment.bindAddress,
    steering,
    lastActivityTime: () => lastActivityTime,
    clock,
  });
  const statusServer = await startStatusServer({
    port: environment.metricsPort,
    bindAddress: environment.bindAddress,
    metrics,
    health: () => selfReport.toHealth(),
    log,
  });

  const reporter = createReporter({ twin, clock, log });
  publish = () => {
    selfReport.toMetrics(metrics);
    if (mayReport) reporter.set(selfReport.toTwin());
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
  const { instanceId } = identity;
  const report = (): JsonObject => selfReport.toTwin();
  answerDirectMethods({ twin, instanceId, sync, garbage, integrity, clock, steering, report });
  twin.start();
  publish();
  log.info('connected registry started', { version, instanceId });

  return {
    http: listeners.http,
    get https() {
      return listeners.https;
    },
    metrics: statusServer.address,
    async close() {
      patience.abort();
      await onDemand.close();
      await sync.close();
      await integrity.close();
      await garbage.close();
      await httpsCertificate.close();
      await listeners.close();
      await statusServer.close();
      await housekeeping.close();
      // A message on its way ends with the connection at the latest.
      const silenced = notifications.close();
      await reporter.close();
      await twin.close();
      await silenced;
      await store.close();
      log.info('connected registry stopped');
    },
  };

  /** Beside Node's own roots: the folder's `ca.crt`, and inside IoT Edge the trust bundle. */
  async function parentRoots(): Promise<readonly string[]> {
    const roots = [await readParentRoots(environment.certificateVolume), await device.trustBundle()];
    return roots.filter((pem) => pem !== undefined);
  }
}

/** A registry held by another instance still serves what it has; an inactive one serves nothing. */
function refusalOf(activation: Activation['state']): { refusal?: 'INACTIVE' | 'ALREADY_ACTIVATED' } {
  if (activation === 'active') return {};
  return { refusal: activation === 'inactive' ? 'INACTIVE' : 'ALREADY_ACTIVATED' };
}
