import { expect } from 'chai';
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { indexDirectory } from '../../modules/registry/src/store/layout.ts';
import { batchesOf } from '../../modules/registry/src/store/level-log.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { collect, withStore } from './with-store.ts';

const plant = repository('plant');
const pushes = 60;
const imageOf = (count: number) => sampleImage([`layer ${count}`, Buffer.alloc(1000, count)]);

/** The log of LevelDB in this data volume. */
async function logOf(directory: string): Promise<string> {
  const [name = ''] = (await readdir(indexDirectory(directory))).filter((file) => file.endsWith('.log'));
  return join(indexDirectory(directory), name);
}

/** Pushes, and copies the volume while it is open: what a power cut leaves. */
function withVolume(
  body: (open: (harm: (log: Buffer) => void) => Promise<Store>, directory: string) => Promise<void>,
): () => Promise<void> {
  return withStore(
    async ({ store, directory }) => {
      for (let count = 0; count < pushes; count += 1)
        await pushImage(store.local, plant, imageOf(count), tag(`${count}`));
      const opened: Store[] = [];
      const harmed = join(directory, 'copy');
      const open = async (harm: (log: Buffer) => void): Promise<Store> => {
        for (const folder of ['index', 'blobs', 'uploads']) {
          await cp(join(directory, folder), join(harmed, folder), { recursive: true });
        }
        const path = await logOf(harmed);
        const log = await readFile(path);
        harm(log);
        await writeFile(path, log);
        const again = await openStore({ directory: harmed, clock: new ManualClock(), log: new RecordingLog() });
        opened.push(again);
        return again;
      };
      try {
        await body(open, harmed);
      } finally {
        for (const one of opened) await one.close();
      }
    },
    { carries: () => true },
  );
}

async function missingIn(store: Store): Promise<number[]> {
  const missing: number[] = [];
  for (let count = 0; count < pushes; count += 1) {
    const found = await store.findManifest(plant, tag(`${count}`));
    if (found?.digest !== imageOf(count).manifest.digest) missing.push(count);
  }
  return missing;
}

const verify = (store: Store, repair = false) =>
  store.verify({ signal: new AbortController().signal, deep: true, repair });

describe('openStore() over a damaged log of LevelDB', () => {
  for (const part of [0.1, 0.35, 0.5, 0.77]) {
    it(
      `loses nothing to one wrong byte, at ${part} of the log`,
      withVolume(async (open, directory) => {
        const store = await open((log) => {
          const at = Math.floor(log.length * part);
          log.writeUInt8((log[at] ?? 0) ^ 0x5a, at);
        });
        expect(store.condition).to.equal('doubtful');
        expect(await missingIn(store)).to.deep.equal([]);
        expect((await verify(store)).first).to.deep.equal([]);
        expect(await collect(store.outbox.read())).to.have.length(pushes);
        expect(await readdir(join(directory, 'damaged'))).to.have.length(1);
      }),
    );
  }

  it(
    'loses what was overwritten and no more, and verify tells it',
    withVolume(async (open) => {
      const store = await open((log) => log.fill(0xa5, Math.floor(log.length / 2), Math.floor(log.length / 2) + 40));
      expect(store.condition).to.equal('doubtful');
      const missing = await missingIn(store);
      expect(missing.length).to.be.lessThan(2);
      const told = await verify(store, true);
      expect(told.findings).to.be.greaterThan(0);
      for (const count of missing) await pushImage(store.local, plant, imageOf(count), tag(`${count}`));
      await pushImage(store.local, plant, imageOf(pushes / 2), tag('again'));
    }),
  );

  it(
    'leaves a log without damage, or cut short, as LevelDB reads it',
    withVolume(async (open, directory) => {
      const store = await open(() => undefined);
      expect(store.condition).to.equal('whole');
      expect(await missingIn(store)).to.deep.equal([]);
      expect(await readdir(join(directory, 'damaged'))).to.deep.equal([]);
    }),
  );
});

describe('batchesOf()', () => {
  it(
    'reads what LevelDB wrote',
    withStore(async ({ store, directory }) => {
      const big = Buffer.alloc(60_000, 'big');
      await pushImage(store.local, plant, sampleImage([big, 'small']), tag('1'));
      const path = await logOf(directory);
      expect((await stat(path)).size).to.be.greaterThan(big.length);
      const writes = [...batchesOf(await readFile(path))].flat();
      expect(writes.some(({ value }) => value?.equals(big))).to.equal(true);
      expect(writes.some(({ key }) => String(key) === '!tag!plant\0' + '1')).to.equal(true);
    }),
  );
});
