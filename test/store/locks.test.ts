import { expect } from 'chai';
import { unlocked } from '../../modules/registry/src/store/attributes.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { codeOf, withStore } from './with-store.ts';

const plant = repository('plant');
const image = sampleImage(['locked']);

describe('store.locks', () => {
  it(
    'hold after a restart, each on what it is on',
    withStore(async ({ store, reopen }) => {
      await pushImage(store.local, plant, image, tag('1'));
      await pushImage(store.local, repository('plant2'), image, tag('1'));
      await store.locks.change(plant, tag('1'), { deleteEnabled: false });
      const again = await reopen();
      expect(again.locks.of(plant, tag('1'))).to.deep.equal({ ...unlocked, deleteEnabled: false });
      for (const reference of [undefined, image.manifest.digest, tag('2')]) {
        expect(again.locks.of(plant, reference)).to.deep.equal(unlocked);
      }
      expect(again.locks.of(repository('plant2'), tag('1'))).to.deep.equal(unlocked);
      expect(await codeOf(again.local.deleteTag(plant, tag('1')))).to.equal('REGISTRY_DISALLOWED_OPERATION');
      expect(await again.local.deleteRepository(repository('plant2')))
        .to.have.property('tags')
        .with.length(1);
    }),
  );

  it(
    'are known only of what is there',
    withStore(async ({ store }) => {
      await pushImage(store.local, plant, image, tag('1'));
      for (const [name, reference] of [
        [repository('none'), undefined],
        [plant, tag('2')],
        [repository('none'), image.manifest.digest],
      ] as const) {
        expect(await store.locks.change(name, reference, { readEnabled: false })).to.equal(undefined);
        expect(store.locks.of(name, reference)).to.deep.equal(unlocked);
      }
    }),
  );

  it(
    'do not stop a repository from being taken out when it is de-listed',
    withStore(async ({ store }) => {
      await pushImage(store.local, plant, image, tag('1'));
      for (const reference of [undefined, tag('1'), image.manifest.digest]) {
        await store.locks.change(plant, reference, { writeEnabled: false });
      }
      expect(await codeOf(store.local.deleteRepository(plant))).to.equal('REGISTRY_DISALLOWED_OPERATION');
      expect(await store.describeRepository(plant)).to.include({ manifests: 1, tags: 1 });
      expect(await store.deleteRepository(plant)).to.equal(true);
      expect(await store.describeRepository(plant)).to.equal(undefined);
      await pushImage(store.local, plant, image, tag('1'));
      expect(store.locks.of(plant)).to.deep.equal(unlocked);
    }),
  );
});
