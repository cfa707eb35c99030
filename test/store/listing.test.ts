import { expect } from 'chai';
import fc from 'fast-check';
import { MemoryLevel } from 'memory-level';
import { parseRepositoryName, parseTag } from '../../modules/registry/src/oci/names.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { collect, withStore } from './with-store.ts';

const image = sampleImage([]);
const names = fc.uniqueArray(
  fc.stringMatching(/^[a-c0](?:[a-c0./_-]{0,4}[a-c0])?$/).filter((text) => parseRepositoryName(text) !== undefined),
  { minLength: 1, maxLength: 12 },
);
const tags = fc.uniqueArray(
  fc.stringMatching(/^[aAzZ09_][aAzZ09_.-]{0,3}$/).filter((text) => parseTag(text) !== undefined),
  { minLength: 1, maxLength: 12 },
);

describe('listRepositories()', () => {
  it('pages in byte order after any name, there or not', async () => {
    await fc.assert(
      fc.asyncProperty(names, fc.string({ maxLength: 3 }), async (texts, after) => {
        const test = withStore(
          async ({ store }) => {
            for (const text of texts) await pushImage(store.replica, repository(text), image);
            const sorted = texts.toSorted();
            expect(await collect(store.listRepositories())).to.deep.equal(sorted);
            for (const start of [after, ...texts]) {
              const expected = sorted.filter((text) => Buffer.compare(Buffer.from(text), Buffer.from(start)) > 0);
              expect(await collect(store.listRepositories({ after: start }))).to.deep.equal(expected);
            }
          },
          { index: new MemoryLevel() },
        );
        await test();
      }),
      { numRuns: 40 },
    );
  });

  it(
    'throws when the signal fires, and is never silently short',
    withStore(async ({ store }) => {
      await pushImage(store.local, repository('a'), image);
      const outcome = await collect(store.listRepositories({ signal: AbortSignal.abort() })).then(
        () => 'ended',
        () => 'threw',
      );
      expect(outcome).to.equal('threw');
    }),
  );
});

describe('listTags()', () => {
  it('pages in byte order and sees one repository only', async () => {
    const [plant, ...others] = ['plant', 'plant2', 'plant/a', 'plan', 'plant-a'].map(repository);
    await fc.assert(
      fc.asyncProperty(tags, async (texts) => {
        const test = withStore(
          async ({ store }) => {
            for (const other of others) await pushImage(store.replica, other, image, tag('foreign'));
            for (const text of texts) await pushImage(store.replica, plant!, image, tag(text));
            const sorted = texts.toSorted();
            for (const start of ['', 'Z', ...texts]) {
              const listed = await collect(store.listTags(plant!, { after: start }));
              expect(listed.map((entry) => entry.tag)).to.deep.equal(sorted.filter((text) => text > start));
            }
          },
          { index: new MemoryLevel() },
        );
        await test();
      }),
      { numRuns: 40 },
    );
  });
});
