import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { withSite } from './pass-fixture.ts';

const [hello, other] = [repository('plant/hello'), repository('plant/other')];
const [v1, v2] = [tag('v1'), tag('v2')];
const [one, two, three] = [sampleImage(['one']), sampleImage(['two']), sampleImage(['three'])];

describe('drainOutbox()', () => {
  it('carries pushes in order, and remembers the common base', () =>
    withSite(async ({ parent, store, pass, pending }) => {
      await pushImage(store.local, hello, one, v1);
      await pushImage(store.local, hello, two, v1);
      await pushImage(store.local, hello, two, v2);
      expect(await pass({ drainOnly: true })).to.equal('Succeeded');
      expect(parent.callsOf('putManifest').filter((call) => /v\d$/.test(call))).to.deep.equal([
        `${hello} ${one.manifest.digest} v1`,
        `${hello} ${two.manifest.digest} v1`,
        `${hello} ${two.manifest.digest} v2`,
      ]);
      expect(await pending()).to.equal(0);
      expect((await store.describeTag(hello, v1))?.base).to.equal(two.manifest.digest);
    }));

  it('carries indexes and referrers pushed here', () =>
    withSite(async ({ parent, store, pass }) => {
      const index = sampleIndex([[{ os: 'linux', architecture: 'amd64' }, one]]);
      const signature = sampleImage(['signature'], { subject: index.manifest });
      await pushImage(store.local, hello, index, v1);
      await pushImage(store.local, hello, signature);
      expect(await pass({ drainOnly: true })).to.equal('Succeeded');
      expect(await parent.hasManifest(hello, signature.manifest.digest)).to.equal(true);
      expect(await parent.resolveTag(hello, v1)).to.equal(index.manifest.digest);
    }));

  it('carries untags and deletes', () =>
    withSite(async ({ parent, store, pass }) => {
      await pushImage(store.local, hello, one, v1);
      await pushImage(store.local, hello, two, v2);
      await pass();
      await store.local.deleteTag(hello, v1);
      await store.local.deleteManifest(hello, two.manifest.digest);
      expect(await pass()).to.equal('Succeeded');
      expect(await parent.resolveTag(hello, v1)).to.equal(undefined);
      expect(await parent.hasManifest(hello, two.manifest.digest)).to.equal(false);
      expect(await store.resolveTag(hello, v2)).to.equal(undefined);
    }));

  it('lets a failing repository wait and carries the others', () =>
    withSite(async ({ parent, store, pass, pending, details }) => {
      await pushImage(store.local, hello, one, v1);
      await pushImage(store.local, hello, two, v2);
      await pushImage(store.local, other, three, v1);
      parent.before = (call) => {
        if (call.startsWith(`putManifest ${hello}`)) throw new ParentError('denied', 'no');
      };
      expect(await pass({ drainOnly: true })).to.equal('Failed');
      expect(await pending()).to.equal(2);
      expect(parent.callsOf('putManifest').filter((call) => call.includes(two.manifest.digest))).to.deep.equal([]);
      expect(await parent.resolveTag(other, v1)).to.equal(three.manifest.digest);
      expect(details()).to.deep.equal(['PARENT_DENIED']);
      parent.before = () => undefined;
      expect(await pass({ drainOnly: true })).to.equal('Succeeded');
      expect(await pending()).to.equal(0);
    }));

  it('forgets an entry whose manifest is gone', () =>
    withSite(async ({ parent, store, pass, pending }) => {
      await pushImage(store.local, hello, one, v1);
      await store.local.deleteManifest(hello, one.manifest.digest);
      expect(await pass({ drainOnly: true })).to.equal('Succeeded');
      expect(await pending()).to.equal(0);
      expect(parent.callsOf('putManifest')).to.deep.equal([]);
    }));

  it('forgets a push that lost a layer since, and says so', () =>
    withSite(async ({ store, pass, pending, details, lose }) => {
      await pushImage(store.local, hello, one, v1);
      await lose(hello, digestOf(one.blobs[1]!));
      expect(await pass({ drainOnly: true })).to.equal('Succeeded');
      expect(await pending()).to.equal(0);
      expect(details()).to.deep.equal(['PUSH_INCOMPLETE']);
    }));

  it('goes on and says so, when the parent cannot delete', () =>
    withSite(async ({ parent, store, pass, pending, details }) => {
      await pushImage(store.local, hello, one, v1);
      await pass();
      await store.local.deleteTag(hello, v1);
      await store.local.deleteManifest(hello, one.manifest.digest);
      parent.before = (call) => {
        if (call.startsWith('delete')) throw new ParentError('denied', 'unsupported', { status: 405 });
      };
      expect(await pass({ drainOnly: true })).to.equal('Succeeded');
      expect(await pending()).to.equal(0);
      expect(details()).to.deep.equal(['PARENT_DELETE_UNSUPPORTED', 'PARENT_DELETE_UNSUPPORTED']);
    }));

  for (const what of ['tag', 'manifest'] as const) {
    it(`does not pull down again a ${what} that still has to be deleted at the parent`, () =>
      withSite(async ({ parent, store, pass }) => {
        await pushImage(parent, hello, one, v1);
        await pass();
        if (what === 'tag') await store.local.deleteTag(hello, v1);
        else await store.local.deleteManifest(hello, one.manifest.digest);
        parent.before = (call) => {
          if (call.startsWith('delete')) throw new ParentError('broken', '500');
        };
        expect(await pass()).to.equal('Failed');
        expect(await store.resolveTag(hello, v1)).to.equal(undefined);
      }));
  }

  it('carries the local change and tells the conflict, when the parent moved the tag too', () =>
    withSite(async ({ parent, store, pass, details }) => {
      await pushImage(parent, hello, one, v1);
      await pass();
      await pushImage(store.local, hello, two, v1);
      await pushImage(parent, hello, three, v1);
      expect(await pass()).to.equal('Succeeded');
      expect(await parent.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(await parent.hasManifest(hello, three.manifest.digest)).to.equal(true);
      expect(details()).to.deep.equal(['TAG_CONFLICT']);
    }));

  it('is silent, when only this side moved the tag', () =>
    withSite(async ({ parent, store, pass, details }) => {
      await pushImage(parent, hello, one, v1);
      await pass();
      await pushImage(store.local, hello, two, v1);
      await pass();
      expect(await parent.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(details()).to.deep.equal([]);
    }));

  it('does not remove a tag that the parent moved meanwhile', () =>
    withSite(async ({ parent, store, pass, details }) => {
      await pushImage(parent, hello, one, v1);
      await pass();
      await store.local.deleteTag(hello, v1);
      await pushImage(parent, hello, two, v1);
      expect(await pass()).to.equal('Succeeded');
      expect(await parent.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(details()).to.deep.equal(['TAG_CONFLICT']);
    }));
});
