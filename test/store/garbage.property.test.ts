import fc from 'fast-check';
import { MemoryLevel } from 'memory-level';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { collectGarbage, dayMs, expectOnlyNeeded, filesIn, noMercy, pullEverything } from './garbage.ts';
import { contentOf, withStore, type StoreTest } from './with-store.ts';

/** Large enough to be a file; the others are rows. */
const base = 'base '.repeat(20_000);
const one = sampleImage([base, 'one']);
const two = sampleImage([base, 'two'], { docker: true });
const index = sampleIndex([
  [{ os: 'linux', architecture: 'amd64' }, one],
  [{ os: 'linux', architecture: 'arm64' }, two],
]);
const signature = sampleImage(['signature'], { subject: index.manifest });
const attestation = sampleImage([base, 'attestation'], { subject: signature.manifest });
const images = { one, two, index, signature, attestation };
type ImageName = keyof typeof images;

const name = fc.constantFrom('plant', 'plant/line', 'other');
const tagName = fc.constantFrom('1', '2');
const image = fc.constantFrom(...(Object.keys(images) as ImageName[]));
/** Deleting a child of a tagged index would break the index, with or without garbage collection. */
const parent = fc.constantFrom<ImageName>('index', 'signature', 'attestation');

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ push: image, name, as: fc.option(tagName) }) },
  { weight: 2, arbitrary: fc.record({ untag: tagName, name }) },
  { weight: 2, arbitrary: fc.record({ delete: parent, name }) },
  { weight: 1, arbitrary: fc.record({ removeRepository: name }) },
  { weight: 1, arbitrary: fc.record({ mount: image, name }) },
  { weight: 1, arbitrary: fc.record({ beginUploadIn: name }) },
  { weight: 3, arbitrary: fc.record({ waitMs: fc.constantFrom(1, dayMs / 2, dayMs, 8 * dayMs) }) },
  { weight: 3, arbitrary: fc.record({ collect: fc.constantFrom('dry run', 'keep untagged', 'no mercy') }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function take({ store, clock }: StoreTest, next: Step): Promise<void> {
  if ('push' in next) {
    const as = next.as === null ? undefined : tag(next.as);
    await pushImage(store.local, repository(next.name), images[next.push], as);
  } else if ('untag' in next) {
    await store.local.deleteTag(repository(next.name), tag(next.untag));
  } else if ('delete' in next) {
    await store.local.deleteManifest(repository(next.name), images[next.delete].manifest.digest);
  } else if ('removeRepository' in next) {
    await store.deleteRepository(repository(next.removeRepository));
  } else if ('mount' in next) {
    for (const blob of images[next.mount].blobs) {
      await store.local.mountBlob(repository(next.name), digestOf(blob));
    }
  } else if ('beginUploadIn' in next) {
    const upload = await store.uploads.begin(repository(next.beginUploadIn));
    await upload.append(contentOf('begun'));
    await upload.release();
  } else if ('waitMs' in next) {
    await clock.advance(next.waitMs);
  } else {
    const untagged = next.collect === 'no mercy' ? noMercy : {};
    await collectGarbage(store, { ...untagged, dryRun: next.collect === 'dry run' });
  }
}

describe('garbage collection after anything', () => {
  it('leaves every tag whole at every step, and in the end nothing but what the tags need', () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
        const test = withStore(
          async (opened) => {
            const { store, directory, clock } = opened;
            for (const next of steps) {
              await take(opened, next);
              await pullEverything(store);
            }
            for (const id of await filesIn(directory, 'uploads')) await utimes(join(directory, 'uploads', id), 0, 0);
            for (let pass = 0; pass < 6; pass += 1) {
              await clock.advance(8 * dayMs);
              await collectGarbage(store, { untagged: { olderThanMs: dayMs } });
            }
            await expectOnlyNeeded(store, directory);
          },
          { index: new MemoryLevel() },
        );
        await test();
      }),
      { numRuns: 50 },
    )).timeout(60_000);
});
