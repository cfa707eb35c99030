import { rm } from 'node:fs/promises';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { parseManifest } from '../../modules/registry/src/oci/manifest.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import type { Patience } from '../../modules/registry/src/parent/patience.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import type { Settings } from '../../modules/registry/src/settings/settings.ts';
import type { SyncStatus } from '../../modules/registry/src/status/sync-status.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { createSyncEngine } from '../../modules/registry/src/sync/engine.ts';
import type { SyncEngine, SyncEngineOptions } from '../../modules/registry/src/sync/sync-engine.ts';
import { startFaultProxy, type FaultProxy } from '../helpers/fault-proxy.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { startRegistry, type RegistryServer } from '../http/registry-server.ts';

/** The engine with its real store, below a proxy that spoils, below a parent of our kind with its real store. */
export interface FaultySite {
  readonly parent: RegistryServer;
  readonly proxy: FaultProxy;
  readonly store: Store;
  readonly engine: SyncEngine;
  readonly clock: ManualClock;
  /** Every status that was told, in order. */
  readonly told: readonly SyncStatus[];
  start(part?: object): void;
  /** The child's process ends, and another one begins with the same data volume. */
  restart(): Promise<void>;
  /** Moves the clock on through every pause, until it is so. */
  until(holds: (status: SyncStatus) => boolean | Promise<boolean>): Promise<SyncStatus>;
  close(): Promise<void>;
}

/** Real time that the client waits for an answer, or for its next piece. */
const patienceMs = 300;
/** Real time after which nothing comes any more. */
const longestMs = 18_000;
const childName = 'plant7line3';
const account = { name: 'childsync', password: 'child-password' };

/** A parent of our kind whose one child may do everything in `plant/`. */
export async function openParent(): Promise<RegistryServer> {
  const parent = await startRegistry();
  const passwords = [{ name: 'password1', hash: await hashPassword(account.password, { ln: 10 }), expiry: undefined }];
  const child = {
    ...{ name: childName, mode: 'ReadWrite' as const, repositories: [parseRepositoryPattern('plant/*')!] },
    syncToken: { name: account.name, status: 'enabled' as const, passwords },
  };
  parent.applyAccounts({ clientTokens: [], scopeMaps: [], children: [child] });
  return parent;
}

/** The engine of that child. */
export function engineBelow(
  options: Pick<SyncEngineOptions, 'store' | 'clock' | 'log' | 'onStatus'> & { readonly patience: Partial<Patience> },
): SyncEngine {
  const { store, clock, log, patience } = options;
  const { records } = store;
  const self = { registryName: childName, instanceId: 'this-instance', version: '0.1.0' };
  const engine: SyncEngine = createSyncEngine({
    ...options,
    random: () => 1,
    describe: () => ({ connectionState: 'Online', inSync: engine.status().inSync, outboxPending: 0 }),
    connect: ({ gatewayEndpoint: endpoint, protocol, syncToken: credentials = account }) =>
      connectParent({ endpoint, protocol, credentials, self, records, clock, log, patience }),
  });
  return engine;
}

/** `given`: real times in place of the short ones that make faults cheap to test. */
export async function openFaultySite(given: Partial<Patience> = {}): Promise<FaultySite> {
  const parent = await openParent();
  const proxy = await startFaultProxy(parent.host);
  const [clock, log] = [new ManualClock(), new RecordingLog()];
  const directory = await temporaryDirectory();
  const patience = {
    ...{ attempts: 1, connectTimeoutMs: patienceMs, answerTimeoutMs: patienceMs },
    ...{ pingTimeoutMs: patienceMs, writeTimeoutMs: patienceMs, idleTimeoutMs: patienceMs },
    ...given,
  };

  const told: SyncStatus[] = [];
  const onStatus = (status: SyncStatus): void => void told.push(status);

  async function open() {
    const store = await openStore({ directory, clock, log, carries: () => true });
    return { store, engine: engineBelow({ store, clock, log, patience, onStatus }) };
  }
  let child = await open();

  async function close(): Promise<void> {
    await child.engine.close();
    await child.store.close();
  }

  return {
    ...{ parent, proxy, clock, told },
    get store() {
      return child.store;
    },
    get engine() {
      return child.engine;
    },
    start: (part = {}) => child.engine.apply(settingsBelow(proxy.host, part), { active: true }),
    async restart() {
      await close();
      child = await open();
    },
    async until(holds) {
      for (const endMs = Date.now() + longestMs; ;) {
        const status = child.engine.status();
        if (await holds(status)) return status;
        if (Date.now() > endMs) throw new Error(`not in ${longestMs} ms: ${JSON.stringify(status)}`);
        // While nobody waits for it the clock stands still: real time that an answer takes lets no token expire.
        if (clock.nextWait !== undefined) await clock.advance(250);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async close() {
      await close();
      await proxy.close();
      await parent.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** ReadWrite, all of `plant/`, continuous; `part` replaces sections. */
export function settingsBelow(host: string, part: object): Settings {
  const parsed = parseSettings(
    {
      ...{ mode: 'ReadWrite', repositories: ['plant/*'] },
      parent: { gatewayEndpoint: host, protocol: 'http', syncProperties: { schedule: '* * * * *' } },
      ...part,
    },
    { variables: {} },
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

/**
 * `name:tag digest`, `name@digest` of every manifest and `name/digest` of every blob that can be reached from the tags:
 * what a client can get. Throws where a tag points at something incomplete, and where bytes do not match their digest.
 */
export async function contentsOf(store: Store): Promise<string[]> {
  const found = new Set<string>();

  async function visit(repository: RepositoryName, reference: Parameters<Store['findManifest']>[1]): Promise<void> {
    const stored = await store.findManifest(repository, reference);
    if (!stored) throw new Error(`${repository}@${reference} is missing`);
    if (digestOf(stored.bytes) !== stored.digest) throw new Error(`${repository}@${stored.digest} is damaged`);
    found.add(`${repository}@${stored.digest}`);
    const { manifests, blobs } = parseManifest(stored.bytes, stored.mediaType);
    for (const { digest } of manifests) await visit(repository, digest);
    for (const { digest } of blobs) {
      const content = await store.readBlob(repository, digest);
      if (!content) throw new Error(`${repository}/${digest} is missing`);
      const bytes = Buffer.concat((await content.toArray()) as Buffer[]);
      if (digestOf(bytes) !== digest) throw new Error(`${repository}/${digest} is damaged`);
      found.add(`${repository}/${digest}`);
    }
  }

  for await (const repository of store.listRepositories()) {
    for await (const { tag, digest } of store.listTags(repository)) {
      found.add(`${repository}:${tag} ${String(digest)}`);
      await visit(repository, tag);
    }
  }
  return [...found].sort();
}
