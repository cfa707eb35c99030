import { expect } from 'chai';
import { Level } from 'level';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { openTables, sequenceKey } from '../../modules/registry/src/store/layout.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { codeOf, collect, withStore } from './with-store.ts';

const [plant, v1] = [repository('plant'), tag('1')];

describe('openStore()', () => {
  it(
    'refuses a data volume that is open already',
    withStore(async ({ directory, clock, log }) => {
      const error = await openStore({ directory, clock, log }).catch((reason: unknown) => reason as Error);
      expect((error as Error).message).to.include(directory);
      expect((error as Error).cause).to.include({ code: 'LEVEL_LOCKED' });
    }),
  );

  it(
    'shows after a restart all there was before',
    withStore(async ({ store, reopen }) => {
      const image = sampleImage(['x']);
      await pushImage(store.local, plant, image, v1);
      await store.records.put('settings', { deep: [1, null, 'text'] });
      await store.records.put('gone', 1);
      await store.records.delete('gone');
      const again = await reopen();
      expect(await again.findManifest(plant, v1)).to.deep.equal(image.manifest);
      expect(await again.records.get('settings')).to.deep.equal({ deep: [1, null, 'text'] });
      expect(await again.records.get('gone')).to.equal(undefined);
      expect(await codeOf(store.records.put('late', 1))).to.equal('UNAVAILABLE');
    }),
  );

  it(
    'tells a journal that does not end where it should, and one with a gap',
    withStore(async ({ store, directory, log }) => {
      for (const text of ['a', 'b', 'c', 'd']) await pushImage(store.local, plant, sampleImage([text]), v1);
      await store.close();
      const index = new Level(`${directory}/index`);
      const { journal } = openTables(index);
      await journal.del(sequenceKey(2));
      await journal.del(sequenceKey(4));
      await index.close();
      const again = await openStore({ directory, clock: new ManualClock(), log });
      expect(log.lines.filter(({ level }) => level === 'error')).to.have.length(1);
      expect(again.journal.head).to.equal(4);
      expect((await collect(again.journal.readAfter(0))).map(({ sequence }) => sequence)).to.deep.equal([1, 3]);
      expect(log.lines.filter(({ level }) => level === 'error')).to.have.length(2);
      await again.close();
    }),
  );

  it('does not serve a damaged manifest, and is healed by a new copy', async () => {
    const log = new RecordingLog();
    const test = withStore(
      async ({ store, directory, clock }) => {
        const image = sampleImage(['x']);
        await pushImage(store.replica, plant, image, v1);
        await store.close();
        const index = new Level(`${directory}/index`);
        const { manifest } = openTables(index);
        const key = `${plant}\0${image.manifest.digest}`;
        const row = (await manifest.get(key))!;
        await manifest.put(key, { ...row, bytes: Buffer.from(String(row.bytes).replace('2', '3')) });
        await index.close();
        const again = await openStore({ directory, clock, log });
        expect(await again.findManifest(plant, v1)).to.equal(undefined);
        expect(await again.replica.hasManifest(plant, image.manifest.digest)).to.equal(false);
        await again.replica.putManifest(plant, image.manifest, { tag: v1 });
        expect(await again.findManifest(plant, v1)).to.deep.equal(image.manifest);
        expect(again.contents.manifests).to.equal(1);
        expect(digestOf((await again.findManifest(plant, v1))!.bytes)).to.equal(image.manifest.digest);
        await again.close();
      },
      { log },
    );
    await test();
  });
});
