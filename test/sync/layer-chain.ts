import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { nothingElsewhere } from '../../modules/registry/src/http/on-miss.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { createSyncEngine } from '../../modules/registry/src/sync/engine.ts';
import type { SyncEngine } from '../../modules/registry/src/sync/sync-engine.ts';
import { startFaultProxy, type FaultProxy } from '../helpers/fault-proxy.ts';
import { startRegistry, type RegistryServer } from '../http/registry-server.ts';

const sync = { name: 'childsync', password: 'child-password' };

/** Schedules tick after a longer one. */
const longestPauseMs = 2000;

/** A connected registry below another one: store, API, gateway and engine, with a gate in the link to its parent. */
export interface ChainLayer {
  readonly registry: RegistryServer;
  readonly gate: FaultProxy;
  readonly engine: SyncEngine;
  /** New settings, over those that keep `plant/*` at any time. */
  apply(part?: Readonly<Record<string, unknown>>, options?: { readonly active: boolean }): void;
  /** The first pass is over, and the engine listens at its parent. */
  inSync(): Promise<void>;
}

/** Layers below each other, the top first; all stand at nine o'clock, each on a clock of its own. */
export interface LayerChain {
  readonly cloud: RegistryServer;
  readonly layers: readonly ChainLayer[];
  /** Lets pauses between two looks at a feed and two tries of a transfer pass everywhere, until it is so. */
  comes(holds: () => boolean | Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

export async function openChain(depth: number): Promise<LayerChain> {
  const cloud = await startRegistry();
  await giveChild(cloud);
  const layers: ChainLayer[] = [];
  let isClosed = false;
  for (let above = cloud; layers.length < depth; above = layers.at(-1)?.registry ?? cloud) {
    layers.push(await openLayer(above));
  }
  return {
    cloud,
    layers,
    async comes(holds) {
      while (!(await holds())) {
        if (isClosed) throw new Error('the chain is closed');
        for (const { registry } of layers) {
          const { nextWait = Infinity } = registry.clock;
          if (nextWait <= longestPauseMs) await registry.clock.advance(nextWait);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async close() {
      isClosed = true;
      for (const { gate } of layers) gate.cut();
      for (const { engine, registry, gate } of layers.toReversed()) {
        await engine.close();
        await registry.close();
        await gate.close();
      }
      await cloud.close();
    },
  };
}

async function openLayer(above: RegistryServer): Promise<ChainLayer> {
  const gate = await startFaultProxy(above.host);
  const registry = await startRegistry({
    onMiss: { ...nothingElsewhere, openArriving: (...asked) => engine.openArriving(...asked) },
  });
  await giveChild(registry);
  const { store, clock, log, gateway } = registry;
  let news = (): void => undefined;
  const self = { registryName: 'plant7line3', instanceId: registry.directory, version: '0.1.0' };
  const engine = createSyncEngine({
    ...{ store, clock, log, random: () => 0 },
    connect: ({ gatewayEndpoint }) =>
      connectParent({
        ...{ endpoint: gatewayEndpoint, protocol: 'http', credentials: sync, self, clock, log },
        patience: { attempts: 1, pingTimeoutMs: 300 },
      }),
    onStatus: () => news(),
    onArriving: (blob) => gateway.arrivals.begin(blob),
  });
  const layer: ChainLayer = {
    ...{ registry, gate, engine },
    apply(part = {}, { active } = { active: true }) {
      const parent = { gatewayEndpoint: gate.host, protocol: 'http', ...(part['parent'] ?? {}) };
      const parsed = parseSettings({ mode: 'ReadOnly', repositories: ['plant/*'], ...part, parent });
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      engine.apply(parsed.settings, { active });
    },
    async inSync() {
      for (;;) {
        const told = new Promise<void>((resolve) => (news = resolve));
        const { inSync, connectionState } = engine.status();
        if (inSync && connectionState === 'Online') return;
        await told;
      }
    },
  };
  return layer;
}

async function giveChild(registry: RegistryServer): Promise<void> {
  const passwords = [{ name: 'password1', hash: await hashPassword(sync.password, { ln: 10 }), expiry: undefined }];
  const repositories = [parseRepositoryPattern('plant/*')!];
  const child = { name: 'plant7line3', mode: 'ReadWrite' as const, repositories };
  const children = [{ ...child, syncToken: { name: sync.name, status: 'enabled' as const, passwords } }];
  registry.applyAccounts({ clientTokens: [], scopeMaps: [], children });
}
