import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readIdentity } from '../../modules/registry/src/identity.ts';
import type { FeedCursor } from '../../modules/registry/src/parent/parent.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { createCursorKeeper } from '../../modules/registry/src/sync/feed-cursor.ts';
import { emptyMemory, loadMemory, saveMemory } from '../../modules/registry/src/sync/sync-memory.ts';
import { wantedFrom } from '../../modules/registry/src/sync/wanted.ts';
import { startAcrStandin } from '../helpers/acr-standin.ts';
import { startFaultProxy } from '../helpers/fault-proxy.ts';
import { pushBlob } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { startOciStandin } from '../helpers/oci-standin.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import type { MemoryRegistry } from '../sync/memory-registry.ts';
import { startOurs } from './contenders.ts';
import { configBytes, fillStore, manifestAt, repositoryAt, tagAt } from './many-manifests.ts';
import type { Stage } from './stage.ts';
import { launchChild, parentSettings, syncToken, type ParentOfChild, type SyncingChild } from './syncing-child.ts';
import type { Work } from './work.ts';

const [repositories, tagsEach] = [1000, 100];
const names = Array.from({ length: repositories }, (_, number) => repositoryAt(number));
/** Long enough ago that nobody looks for late signatures any more. */
const synced = new Date(Date.now() - 2 * 3_600_000);

const ping = 'GET /v2/';
/** Always open, and no second pass begins behind the one that is measured. */
const twiceADay = { schedule: '0 */12 * * *', syncWindow: 'PT12H' };

interface IdlePass {
  readonly requests: number;
  readonly seconds: number;
}

/** Passes of the build with nothing new in 1,000 repositories of 100 tags, below each kind of parent. */
export function idleSyncs(stage: Stage): Work[] {
  const kinds = [
    ['a parent of ours', 1, belowOurs],
    ['an ACR', repositories, belowAcr],
    ['a plain OCI registry (HEAD)', repositories * tagsEach, belowOci],
  ] as const;
  return kinds.flatMap(([kind, mostRequests, run]) => {
    const pass = () => stage.once(`idle pass below ${kind}`, () => run(stage));
    const name = `nothing new in 100,000 tags of 1,000 repositories, ${kind}`;
    return [
      {
        ...{ name: `${name}: requests`, unit: 'requests', rounds: 1 },
        goal: { atMost: mostRequests },
        measure: { ours: async () => (await pass()).requests },
      },
      {
        ...{ name: `${name}: time`, unit: 's', rounds: 1 },
        goal: { atMost: 30 },
        measure: { ours: async () => (await pass()).seconds },
      },
    ];
  });
}

/** The pass after the one that activates the child, at the next full minute. */
async function belowOurs(stage: Stage): Promise<IdlePass> {
  const directory = await stage.directory('idle-parent');
  const dataVolume = join(directory, 'data');
  await cp(await filled(stage), dataVolume, { recursive: true });
  const cursor = await withStore(dataVolume, async (store) => {
    const { instanceId } = await readIdentity(store.records, dataVolume);
    return { journal: instanceId, head: store.journal.head };
  });
  const { url } = stage.keep(await startOurs({ directory, desired: await parentSettings() }));
  const proxy = await startFaultProxy(new URL(url).host);
  try {
    return await withChild(stage, { endpoint: proxy.host, syncToken }, cursor, async ({ passEnded }) => {
      await passEnded();
      const before = proxy.lines.length;
      await passEnded();
      // What waits at the message feed, or tells the parent how the child is, is not the pass's.
      const asked = proxy.lines.slice(before).filter((line) => !/[?&]wait=|^PUT .*\/status/.test(line));
      return asked.length;
    });
  } finally {
    await proxy.close();
  }
}

/** The second pass: the tokens of the first still hold. The ping is one for the pass. */
async function belowAcr(stage: Stage): Promise<IdlePass> {
  const acr = await startAcrStandin({ token: syncToken, repositories: names });
  try {
    await fillMemory(acr.content);
    return await withChild(stage, { endpoint: acr.endpoint, syncToken }, undefined, async (child) => {
      await child.passEnded();
      const before = acr.requests.length;
      await child.reorder([...names].reverse());
      await child.passEnded();
      return acr.requests.slice(before).filter((line) => line !== ping).length;
    });
  } finally {
    await acr.close();
  }
}

async function belowOci(stage: Stage): Promise<IdlePass> {
  const parent = await startOciStandin();
  try {
    await fillMemory(parent.content);
    return await withChild(stage, { endpoint: parent.endpoint }, undefined, async ({ passEnded }) => {
      await passEnded();
      return parent.requests.filter((line) => line.startsWith('HEAD ')).length;
    });
  } finally {
    await parent.close();
  }
}

/** A data volume with everything. */
function filled(stage: Stage): Promise<string> {
  return stage.once('idle volume', async () => {
    const directory = join(await stage.directory('idle'), 'data');
    const contents = names.map((name) => [name, tagsEach] as const);
    await fillStore(directory, contents, new ManualClock(synced));
    return directory;
  });
}

async function fillMemory(registry: MemoryRegistry): Promise<void> {
  for (const name of names) {
    await pushBlob(registry, repository(name), configBytes);
    for (let number = 0; number < tagsEach; number += 1) {
      await registry.putManifest(repository(name), manifestAt(name, number), { tag: tag(tagAt(number)) });
    }
  }
}

/** Below `parent`, a child that has synced everything and then was away for two hours; `work` counts requests. */
async function withChild(
  stage: Stage,
  parent: ParentOfChild,
  cursor: FeedCursor | undefined,
  work: (child: SyncingChild) => Promise<number>,
): Promise<IdlePass> {
  const directory = await stage.directory('idle-child');
  const dataVolume = join(directory, 'data');
  await cp(await filled(stage), dataVolume, { recursive: true });
  await withStore(dataVolume, ({ records }) => remember(records, parent, cursor));
  const child = await launchChild({
    ...{ directory, parent, repositories: names },
    ...(!cursor && { syncProperties: twiceADay }),
  });
  try {
    const requests = await work(child);
    await child.program.stop();
    const { lastStart, lastEnd } = await withStore(dataVolume, ({ records }) => loadMemory(records));
    return { requests, seconds: ((lastEnd?.getTime() ?? NaN) - (lastStart?.getTime() ?? NaN)) / 1000 };
  } finally {
    await child.program.stop();
    await rm(directory, { recursive: true });
  }
}

/** What earlier passes have left. */
async function remember(records: Store['records'], parent: ParentOfChild, cursor: FeedCursor | undefined) {
  const memory = { ...emptyMemory, trigger: 'Scheduled', state: 'Succeeded' } as const;
  const last = { lastStart: synced, lastEnd: synced, lastSuccess: synced, lastThorough: synced };
  await saveMemory(records, { ...memory, ...last });
  const parsed = parseSettings({
    ...{ mode: 'ReadOnly', repositories: names },
    parent: { gatewayEndpoint: parent.endpoint, protocol: 'http' },
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const cursors = createCursorKeeper({ records, clock: systemClock });
  if (cursor) await cursors.save(wantedFrom(parsed.settings, true), cursor, { compared: true });
}

async function withStore<T>(directory: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ directory, clock: systemClock, log: new RecordingLog() });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
