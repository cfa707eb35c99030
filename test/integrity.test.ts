import { expect } from 'chai';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startIntegrity, type Integrity } from '../modules/registry/src/integrity.ts';
import { digestOf } from '../modules/registry/src/oci/digest.ts';
import type { StatusDetail } from '../modules/registry/src/status/sync-status.ts';
import { blobPath, indexDirectory } from '../modules/registry/src/store/layout.ts';
import { openStore } from '../modules/registry/src/store/open-store.ts';
import type { Damage, Store } from '../modules/registry/src/store/store.ts';
import { createSyncEngine } from '../modules/registry/src/sync/engine.ts';
import type { SyncEngine } from '../modules/registry/src/sync/sync-engine.ts';
import { parseSettings } from '../modules/registry/src/settings/parse-settings.ts';
import { startCloud, type Cloud } from './helpers/cloud.ts';
import { push } from './hierarchy/push.ts';
import { cloudAccount } from './hierarchy/layer-settings.ts';
import { openStage, type Stage } from './hierarchy/stage.ts';
import { pushImage, sampleImage } from './helpers/images.ts';
import { ManualClock } from './helpers/manual-clock.ts';
import { repository, tag } from './helpers/names.ts';
import { RecordingLog } from './helpers/recording-log.ts';
import { connectTo } from './helpers/registry-client.ts';
import { pullEverything } from './store/garbage.ts';

const [plant, v1] = [repository('plant/hello'), tag('1')];
const large = Buffer.alloc(300_000, 'large');
const image = sampleImage(['small', large]);
const largeDigest = digestOf(large);

/** One registry without its doors: store, sync and integrity, as `registry.ts` lets them hear of each other. */
interface Site {
  readonly store: Store;
  readonly sync: SyncEngine;
  readonly integrity: Integrity;
  /** Of each verification that ended. */
  readonly ended: (number | undefined)[];
  /** Resolves once `holds`; looked at with each change. */
  when(holds: () => boolean): Promise<void>;
  close(): Promise<void>;
}

async function openSite(directory: string, parent: string | undefined): Promise<Site> {
  const [clock, log] = [new ManualClock(), new RecordingLog()];
  const watchers = new Set<() => void>();
  const look = (): void => watchers.forEach((watcher) => watcher());
  let noteDamage: (damage: Damage) => void = () => undefined;
  const store = await openStore({ directory, clock, log, onDamage: (damage) => noteDamage(damage) });
  const sync = createSyncEngine({
    ...{ store, clock, log, onStatus: look },
    connect: ({ gatewayEndpoint }) => connectTo(gatewayEndpoint, cloudAccount),
    onRecovered: () => integrity.recovered(),
  });
  const ended: Site['ended'] = [];
  const integrity = await startIntegrity({
    ...{ store, clock, log, onChange: look, hasParent: () => parent !== undefined, recover: () => sync.recover() },
    onEnd(findings) {
      ended.push(findings);
      look();
    },
  });
  noteDamage = (damage) => integrity.noteDamage(damage);
  const parsed = parseSettings({
    repositories: ['plant/*'],
    ...(parent !== undefined && {
      parent: {
        gatewayEndpoint: parent,
        protocol: 'http',
        syncProperties: { schedule: '0 9 * * *', syncWindow: 'PT1H' },
      },
    }),
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  sync.apply(parsed.settings, { active: true });
  return {
    ...{ store, sync, integrity, ended },
    when: (holds) =>
      new Promise((resolve) => {
        const watcher = (): void => {
          if (!holds()) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
      }),
    async close() {
      await sync.close();
      await integrity.close();
      await store.close();
    },
  };
}

const codes = (integrity: Integrity): string[] => integrity.details().map(({ code }: StatusDetail) => code);

describe('a damaged store', function () {
  this.timeout(60_000);
  let stage: Stage;
  let cloud: Cloud;
  before(async () => {
    stage = await openStage();
    const directory = join(stage.directory, 'cloud');
    cloud = await stage.open(startCloud({ kind: 'connected-registry', directory, account: cloudAccount }));
    await push(cloud.endpoint, cloudAccount, plant, image, '1');
  });
  after(() => stage.close());

  let directory: string;
  let site: Site;
  let count = 0;
  beforeEach(async () => {
    directory = join(stage.directory, String((count += 1)));
    site = await openSite(directory, cloud.endpoint);
    await site.when(() => site.sync.status().state === 'Succeeded');
  });
  afterEach(() => site.close());

  async function healed(): Promise<void> {
    await site.when(() => site.ended.at(-1) === 0 && codes(site.integrity).length === 0);
    await pullEverything(site.store);
    expect(await site.store.statBlob(plant, largeDigest)).to.deep.equal({ size: large.length });
  }

  it('is made whole from the parent, after a read that met a missing file', async () => {
    await rm(blobPath(directory, largeDigest));
    expect(await site.store.openBlob(plant, largeDigest)).to.equal(undefined);
    expect(codes(site.integrity)).to.deep.equal(['STORE_DAMAGED']);
    await healed();
    expect(site.sync.status().trigger).to.equal('RecoveryService');
    expect(site.ended.length).to.equal(2);
  });

  it('is made whole from the parent, after verify with repair, and only told without', async () => {
    await writeFile(blobPath(directory, largeDigest), Buffer.alloc(large.length, 'other'));
    expect(await site.integrity.verify({ deep: true, repair: false })).to.include({ findings: 1, repaired: 0 });
    expect(site.integrity.details()[0]?.description).to.include('"repair": true').and.include(largeDigest);
    expect(site.integrity.last).to.include({ findings: 1, repaired: 0 });
    const repair = site.integrity.verify({ deep: true, repair: true });
    expect(site.integrity.verify({ deep: true, repair: true }), 'one at a time').to.equal(undefined);
    expect(await repair).to.include({ findings: 2, repaired: 1 });
    await healed();
  });

  for (const [what, harm] of [
    ['an index that LevelDB repairs', (path: string) => writeFile(join(path, 'CURRENT'), 'garbage\n')],
    [
      'an index that nobody can repair',
      async (path: string) => {
        await rm(path, { recursive: true });
        await writeFile(path, '');
      },
    ],
  ] as const) {
    it(`is made whole from the parent, after a start over ${what}`, async () => {
      await site.close();
      await harm(indexDirectory(directory));
      site = await openSite(directory, cloud.endpoint);
      expect(codes(site.integrity)).to.deep.equal(['STORE_DAMAGED']);
      await healed();
    });
  }

  it('takes up a repair that a restart cut off', async () => {
    await rm(blobPath(directory, largeDigest));
    await site.store.openBlob(plant, largeDigest);
    await site.close();
    site = await openSite(directory, cloud.endpoint);
    await healed();
  });

  it('says without a parent what is missing, until it was pushed again', async () => {
    await site.close();
    const alone = join(stage.directory, 'alone');
    site = await openSite(alone, undefined);
    await pushImage(site.store.local, plant, image, v1);
    await truncate(blobPath(alone, largeDigest), 7);
    await site.store.readBlob(plant, largeDigest);
    expect(site.integrity.details()[0]).to.deep.include({ code: 'STORE_DAMAGED', type: 'Store' });
    expect(site.ended).to.deep.equal([]);
    await site.integrity.verify({ deep: true, repair: true });
    expect(site.integrity.details()[0]?.description).to.include('push again');
    await pushImage(site.store.local, plant, image, v1);
    await site.integrity.verify({ deep: true, repair: false });
    expect(codes(site.integrity)).to.deep.equal([]);
  });
});
