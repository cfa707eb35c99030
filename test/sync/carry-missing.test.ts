import { expect } from 'chai';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { withSite, type Site } from './pass-fixture.ts';

const [hello, office] = [repository('plant/hello'), repository('office/tools')];
const [v1, v2] = [tag('v1'), tag('v2')];
const [one, two] = [sampleImage(['one']), sampleImage(['two'])];
const signature = sampleImage(['signature'], { subject: one.manifest });

/** Pushes go into the outbox only once there is a parent. */
function withLateParent(body: (site: Site, parentComes: () => void) => Promise<void>): () => Promise<void> {
  let hasParent = false;
  return () =>
    withSite((site) => body(site, () => void (hasParent = true)), { carries: () => hasParent }).finally(
      () => (hasParent = false),
    );
}

describe('carryMissing()', () => {
  it(
    'carries up what was pushed before there was a parent, with its signatures, whatever the rules name, once',
    withLateParent(async ({ store, parent, pass, pending }, parentComes) => {
      await pushImage(store.local, hello, one, v1);
      await pushImage(store.local, hello, signature);
      await pushImage(store.local, office, two, v1);
      parentComes();
      expect(await pending()).to.equal(0);
      expect(await pass()).to.equal('Succeeded');
      expect(await parent.resolveTag(hello, v1)).to.equal(one.manifest.digest);
      expect(await parent.hasManifest(hello, signature.manifest.digest)).to.equal(true);
      expect(await parent.resolveTag(office, v1)).to.equal(two.manifest.digest);
      expect((await store.describeTag(office, v1))?.base).to.equal(two.manifest.digest);

      parent.calls.length = 0;
      await pass();
      expect(parent.callsOf('resolveTag')).to.deep.equal([]);
      expect(parent.callsOf('putManifest')).to.deep.equal([]);
    }),
  );

  it(
    'leaves a tag alone that the parent has otherwise, and tells it',
    withLateParent(async ({ store, parent, pass, details }, parentComes) => {
      await pushImage(store.local, hello, one, v1);
      await pushImage(parent, hello, two, v1);
      parentComes();
      await pass();
      expect(details()).to.deep.equal(['TAG_CONFLICT']);
      expect(await parent.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
    }),
  );

  it(
    'goes on with the other repositories when the parent does not take one, and tries it again',
    withLateParent(async ({ store, parent, pass, details }, parentComes) => {
      await pushImage(store.local, hello, one, v1);
      await pushImage(store.local, office, two, v1);
      parentComes();
      parent.before = (call) => {
        if (call.startsWith(`putManifest ${hello}`)) throw new ParentError('denied', 'no');
      };
      expect(await pass()).to.equal('Failed');
      expect(details()).to.deep.equal(['PARENT_DENIED']);
      expect(await parent.resolveTag(office, v1)).to.equal(two.manifest.digest);
      parent.before = () => undefined;
      expect(await pass()).to.equal('Succeeded');
      expect(await parent.resolveTag(hello, v1)).to.equal(one.manifest.digest);
    }),
  );

  it('does not carry up again what came from the parent, or was carried to it, and was removed there', () =>
    withSite(async ({ store, parent, pass }) => {
      await pushImage(parent, hello, one, v1);
      await pushImage(store.local, hello, two, v2);
      await pass();
      expect(await parent.resolveTag(hello, v2)).to.equal(two.manifest.digest);
      await parent.deleteTag(hello, v1);
      await parent.deleteTag(hello, v2);
      expect(await pass()).to.equal('Succeeded');
      expect([await parent.resolveTag(hello, v1), await parent.resolveTag(hello, v2)]).to.deep.equal([
        undefined,
        undefined,
      ]);
      expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
      expect(await store.resolveTag(hello, v2)).to.equal(two.manifest.digest);
    }));

  it('is not needed for what waited in the outbox longer than the message TTL', () =>
    withSite(async ({ store, parent, clock, pass, pending }) => {
      await pushImage(store.local, hello, one, v1);
      parent.before = (call) => {
        if (call.startsWith('putManifest')) throw new ParentError('denied', 'no');
      };
      await pass();
      await clock.advance(90 * 24 * 3_600_000);
      await pass();
      expect(await pending()).to.equal(1);
      parent.before = () => undefined;
      await pass();
      expect(await pending()).to.equal(0);
      expect(await parent.resolveTag(hello, v1)).to.equal(one.manifest.digest);
    }));
});
