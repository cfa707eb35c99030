import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import type { Settings } from '../../modules/registry/src/settings/settings.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { createBlobTransfers } from '../../modules/registry/src/sync/blob-transfers.ts';
import type { Link } from '../../modules/registry/src/sync/link.ts';
import { createOnDemand, type OnDemand } from '../../modules/registry/src/sync/on-demand.ts';
import { startFaultProxy, type FaultProxy } from '../helpers/fault-proxy.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { admin, authorization, startRegistry, type RegistryServer } from '../http/registry-server.ts';

/** A registry that fetches on demand through a gate from the one above it. */
export interface OnDemandSite {
  readonly registry: RegistryServer;
  readonly gate: FaultProxy;
  readonly link: Link;
  readonly onDemand: OnDemand;
  /** Of fetching: back-offs and limits. */
  readonly clock: ManualClock;
  readonly log: RecordingLog;
  close(): Promise<void>;
}

export function settingsWith(more: Readonly<Record<string, unknown>> = {}): Settings {
  const parsed = parseSettings({
    parent: { gatewayEndpoint: 'above' },
    repositories: ['plant/*'],
    onDemand: true,
    ...more,
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

export async function openSite(
  above: RegistryServer,
  options: {
    readonly settings?: Settings;
    readonly reserveBytes?: number;
    readonly carries?: boolean;
    readonly attempts?: number;
  } = {},
): Promise<OnDemandSite> {
  const { settings = settingsWith(), reserveBytes, carries, attempts = 1 } = options;
  const [clock, log] = [new ManualClock(), new RecordingLog()];
  const gate = await startFaultProxy(above.host);
  const parent = connectParent({
    endpoint: gate.host,
    protocol: 'http',
    credentials: { name: 'admin', password: 'admin-password' },
    clock,
    log,
    patience: { attempts },
  });
  const transfers = createBlobTransfers({ clock, log, random: () => 0 });
  transfers.limit(settings.transfer);
  const link: Link = { parent, transfers };
  const registry = await startRegistry({
    ...(reserveBytes !== undefined && { reserveBytes }),
    ...(carries !== undefined && { carries }),
    onMiss: {
      findManifest: (...asked) => onDemand.findManifest(...asked),
      statBlob: (...asked) => onDemand.statBlob(...asked),
      openBlob: (...asked) => onDemand.openBlob(...asked),
      listReferrers: (...asked) => onDemand.listReferrers(...asked),
    },
  });
  registry.state = { ...registry.state, mode: 'ReadOnly' };
  const onDemand = createOnDemand({ store: registry.store, link: () => link, clock, log });
  onDemand.apply(settings, { active: true });
  return {
    ...{ registry, gate, link, onDemand, clock, log },
    async close() {
      await onDemand.close();
      await registry.close();
      await parent.close();
      await gate.close();
    },
  };
}

/** An answer that is read as it comes. */
export interface Download {
  readonly status: number;
  readonly receivedBytes: number;
  /** Resolves once so many bytes are there; rejects when the answer ends before. */
  has(bytes: number): Promise<void>;
  /** All of it; rejects when it was cut. */
  readonly whole: Promise<Buffer>;
  leave(): void;
}

export async function download(
  registry: RegistryServer,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Download> {
  const asking = httpRequest({
    ...{ host: '127.0.0.1', port: registry.port, path, agent: false },
    headers: { Authorization: authorization(admin), ...headers },
  });
  asking.end();
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  let receivedBytes = 0;
  let watchers: (() => void)[] = [];
  let ended: Error | undefined;
  const news = (): void => {
    for (const watcher of watchers.splice(0)) watcher();
    watchers = [];
  };
  answer.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    receivedBytes += chunk.length;
    news();
  });
  const whole = new Promise<Buffer>((resolve, reject) => {
    answer.once('end', () => resolve(Buffer.concat(chunks)));
    answer.once('error', reject);
  });
  whole.then(
    () => (ended = new Error('the answer ended')),
    (error: unknown) => (ended = error as Error),
  );
  answer.once('close', () => setImmediate(news));
  return {
    status: answer.statusCode ?? 0,
    get receivedBytes() {
      return receivedBytes;
    },
    async has(bytes) {
      while (receivedBytes < bytes) {
        if (ended) throw ended;
        await new Promise<void>((resolve) => watchers.push(resolve));
      }
    },
    whole,
    leave: () => answer.destroy(),
  };
}
