import { Readable } from 'node:stream';
import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { rules, withSite } from './pass-fixture.ts';
import { patiently } from './patiently.ts';

const [hello, other] = [repository('plant/hello'), repository('plant/other')];
const [v1, v2] = [tag('v1'), tag('v2')];
const [one, two, three] = [sampleImage(['one']), sampleImage(['two']), sampleImage(['three'])];

describe('pull()', () => {
  it('brings what the rules name and nothing else', () =>
    withSite(async ({ parent, store, pass, rows }) => {
      await pushImage(parent, hello, one, v1);
      await pushImage(parent, hello, two, v2);
      await pushImage(parent, repository('office/secret'), three, v1);
      const rule = { ...rules('plant/*')[0]!, tags: ['v*', '!v2'] };
      expect(await pass({ rules: [rule] })).to.equal('Succeeded');
      expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
      expect(await store.resolveTag(hello, v2)).to.equal(undefined);
      expect(await store.hasRepository(repository('office/secret'))).to.equal(false);
      expect(rows()).to.deep.equal({ [hello]: 'InSync 1/1' });
    }));

  it('asks for no content again, when nothing changed', () =>
    withSite(async ({ parent, pass }) => {
      await pushImage(parent, hello, one, v1);
      await pass();
      parent.calls.length = 0;
      await pass();
      expect(parent.calls.map((call) => call.split(' ')[0])).to.deep.equal([
        'ping',
        'listRepositories',
        'listTags',
        'listReferrers',
      ]);
    }));

  it('fetches a blob once, whatever needs it at the same time and later, and links it everywhere', () =>
    withSite(async ({ parent, store, pass, bytes }) => {
      const shared = Buffer.alloc(100_000, 'shared');
      const images = ['a', 'b', 'c'].map((text) => sampleImage([shared, text]));
      const names = [hello, other, repository('plant/third')];
      for (const name of names) {
        for (const [index, image] of images.entries()) await pushImage(parent, name, image, tag(`t${index}`));
      }
      expect(await pass()).to.equal('Succeeded');
      const fetched = parent.callsOf('readBlob').map((call) => call.split(' ')[1]);
      expect(fetched.length).to.equal(new Set(fetched).size);
      expect(fetched, 'a config, the shared layer and three others').to.have.length(5);
      for (const name of names) expect(await store.statBlob(name, digestOf(shared))).to.deep.equal({ size: 100_000 });
      const sizes = new Map(images.flatMap(({ blobs }) => blobs.map((blob) => [digestOf(blob), blob.length])));
      const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
      const crossed = Object.values(bytes());
      expect(crossed.reduce((sum, [, bytesTotal]) => sum + bytesTotal, 0)).to.equal(total);
      for (const [bytesDone, bytesTotal] of crossed) expect(bytesDone).to.equal(bytesTotal);

      const later = repository('plant/later');
      await pushImage(parent, later, images[0]!, v1);
      parent.calls.length = 0;
      expect(await pass()).to.equal('Succeeded');
      expect(parent.callsOf('readBlob')).to.deep.equal([]);
      expect(await store.statBlob(later, digestOf(shared))).to.deep.equal({ size: 100_000 });
    }));

  it('brings a signature that came after its image', () =>
    withSite(async ({ parent, store, pass }) => {
      await pushImage(parent, hello, one, v1);
      await pass();
      const signature = sampleImage(['signature'], { subject: one.manifest });
      await pushImage(parent, hello, signature);
      await pass();
      expect(await store.replica.hasManifest(hello, signature.manifest.digest)).to.equal(true);
    }));

  it('asks once for what is new, from a listing without digests', () =>
    withSite(async ({ parent, pass }) => {
      parent.listsDigests = false;
      await pushImage(parent, hello, one, v1);
      await pass();
      expect(parent.callsOf('findManifest')).to.deep.equal([`${hello} v1`]);
      expect(parent.callsOf('resolveTag')).to.deep.equal([]);
    }));

  it('asks for no referrers, when the listing tells that there are none', () =>
    withSite(async ({ parent, pass }) => {
      await pushImage(parent, hello, one, v1);
      parent.listTags = async function* () {
        yield { tag: v1, digest: one.manifest.digest, hasReferrers: false };
      };
      expect(await pass({ thorough: true })).to.equal('Succeeded');
      expect(await pass({ thorough: true })).to.equal('Succeeded');
      expect(parent.callsOf('listReferrers')).to.deep.equal([]);
    }));

  it('brings what was listed before the listing broke off', () =>
    withSite(async ({ parent, store, pass, rows }) => {
      await pushImage(parent, hello, one, v1);
      parent.listTags = async function* () {
        yield { tag: v1, digest: one.manifest.digest };
        throw new ParentError('broken', 'the second page makes no sense');
      };
      expect(await pass()).to.equal('Failed');
      expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
      expect(rows()).to.deep.equal({ 'plant/hello': 'Failed 1/1' });
    }));

  it('follows a tag that the parent moved, from a listing without digests', () =>
    withSite(async ({ parent, store, pass }) => {
      parent.listsDigests = false;
      await pushImage(parent, hello, one, v1);
      await pass();
      await pushImage(parent, hello, two, v1);
      await pass();
      expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
    }));

  it('goes on with the other images and repositories, when one fails', () =>
    withSite(async ({ parent, store, pass, rows, details }) => {
      await pushImage(parent, hello, one, v1);
      await pushImage(parent, hello, two, v2);
      await pushImage(parent, other, three, v1);
      parent.before = (call) => {
        if (call === `findManifest ${hello} ${one.manifest.digest}`) throw new ParentError('denied', 'no');
      };
      expect(await pass()).to.equal('Failed');
      expect(rows()).to.deep.equal({ [hello]: 'Failed 1/2', [other]: 'InSync 1/1' });
      expect(details()).to.deep.equal(['PARENT_DENIED']);
      expect(await store.resolveTag(other, v1)).to.equal(three.manifest.digest);
      parent.before = () => undefined;
      expect(await pass()).to.equal('Succeeded');
      expect(details()).to.deep.equal([]);
    }));

  it('says Failed, when the parent lists a tag whose manifest it does not have', () =>
    withSite(async ({ parent, pass, details }) => {
      await pushImage(parent, hello, one, v1);
      parent.findManifest = async () => undefined;
      expect(await pass()).to.equal('Failed');
      expect(details()).to.deep.equal(['REPOSITORY_FAILED']);
    }));

  it('names the parent, when it sends wrong content', () =>
    withSite(async ({ parent, store, clock, pass, details }) => {
      await pushImage(parent, hello, one, v1);
      parent.content = (bytes) => Readable.from([Buffer.alloc(bytes.length)]);
      expect(await patiently(clock, pass())).to.equal('Failed');
      expect(details()).to.deep.equal(['PARENT_BROKEN']);
      expect(await store.resolveTag(hello, v1)).to.equal(undefined);
    }));

  it('ends the pass, when the parent answers nothing any more', () =>
    withSite(async ({ parent, pass, details }) => {
      for (let i = 0; i < 20; i++) await pushImage(parent, repository(`plant/r${i}`), one, v1);
      let pings = 0;
      parent.before = (call) => {
        if (call === 'ping' ? pings++ > 0 : call.startsWith('listTags')) {
          throw new ParentError('unreachable', 'no route');
        }
      };
      expect(await pass()).to.equal('Failed');
      expect(details()).to.deep.equal(['PARENT_UNREACHABLE']);
      expect(parent.callsOf('listTags').length).to.be.lessThan(5);
    }));

  it('ends the pass, when the parent throttles', () =>
    withSite(async ({ parent, pass, details }) => {
      await pushImage(parent, hello, one, v1);
      parent.before = (call) => {
        if (call.startsWith('listReferrers')) throw new ParentError('throttled', 'slow down', { retryAfterSeconds: 9 });
      };
      expect(await pass()).to.equal('Failed');
      expect(details()).to.deep.equal(['PARENT_THROTTLED']);
    }));

  it('ends the pass and shows no half image, when the disk is full', () =>
    withSite(
      async ({ parent, store, pass, details }) => {
        await pushImage(parent, hello, one, v1);
        expect(await pass()).to.equal('Failed');
        expect(details()).to.deep.equal(['DISK_FULL']);
        expect(await store.resolveTag(hello, v1)).to.equal(undefined);
      },
      { reserveBytes: Number.MAX_SAFE_INTEGER },
    ));

  it('keeps the exact names in sync, when the catalog is refused', () =>
    withSite(async ({ parent, pass, rows, details }) => {
      await pushImage(parent, hello, one, v1);
      parent.before = (call) => {
        if (call.startsWith('listRepositories')) throw new ParentError('denied', 'no catalog');
      };
      expect(await pass({ rules: rules('plant/hello', 'line/*') })).to.equal('Failed');
      expect(rows()).to.deep.equal({ [hello]: 'InSync 1/1' });
      expect(details()).to.deep.equal(['PARENT_CATALOG_FAILED']);
    }));

  describe('of what is gone from the parent', () => {
    it('removes a tag, when ReadOnly', () =>
      withSite(async ({ parent, store, pass }) => {
        await pushImage(parent, hello, one, v1);
        await pushImage(parent, hello, two, v2);
        await pass({ mode: 'ReadOnly' });
        await parent.deleteTag(hello, v2);
        await pass({ mode: 'ReadOnly' });
        expect(await store.resolveTag(hello, v2)).to.equal(undefined);
        expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
      }));

    it('keeps it, when ReadWrite', () =>
      withSite(async ({ parent, store, pass }) => {
        await pushImage(parent, hello, one, v1);
        await pushImage(parent, hello, two, v2);
        await pass();
        await parent.deleteTag(hello, v2);
        await pass();
        expect(await store.resolveTag(hello, v2)).to.equal(two.manifest.digest);
      }));

    it('keeps it, when only the listing lacks it', () =>
      withSite(async ({ parent, store, pass }) => {
        await pushImage(parent, hello, one, v1);
        await pushImage(parent, hello, two, v2);
        await pass({ mode: 'ReadOnly' });
        parent.listTags = async function* () {
          yield { tag: v1, digest: one.manifest.digest };
        };
        await pass({ mode: 'ReadOnly' });
        expect(await store.resolveTag(hello, v2)).to.equal(two.manifest.digest);
      }));

    it('keeps it, when the listing breaks off', () =>
      withSite(async ({ parent, store, pass }) => {
        await pushImage(parent, hello, one, v1);
        await pushImage(parent, hello, two, v2);
        await pass({ mode: 'ReadOnly' });
        await parent.deleteTag(hello, v2);
        parent.listTags = async function* () {
          yield { tag: v1, digest: one.manifest.digest };
          throw new ParentError('broken', 'half a page');
        };
        expect(await pass({ mode: 'ReadOnly' })).to.equal('Failed');
        expect(await store.resolveTag(hello, v2)).to.equal(two.manifest.digest);
      }));

    it('keeps everything and says so, when the parent shows an empty repository', () =>
      withSite(async ({ parent, store, pass, details }) => {
        await pushImage(parent, hello, one, v1);
        await pass({ mode: 'ReadOnly' });
        await parent.deleteTag(hello, v1);
        await pass({ mode: 'ReadOnly' });
        expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
        expect(details()).to.deep.equal(['PARENT_REPOSITORY_EMPTY']);
      }));
  });

  describe('of a repository that no rule names any more', () => {
    for (const [mode, remains, given] of [
      ['ReadOnly', false, rules('plant/other')],
      ['ReadWrite', true, rules('plant/other')],
      ['ReadOnly', true, []],
    ] as const) {
      it(`${remains ? 'keeps' : 'removes'} it, when ${mode} with ${given.length} rules`, () =>
        withSite(async ({ parent, store, pass }) => {
          await pushImage(parent, hello, one, v1);
          await pass({ mode });
          await pass({ mode, rules: given });
          expect((await store.resolveTag(hello, v1)) !== undefined).to.equal(remains);
        }));
    }
  });

  it('does not overwrite a tag that was pushed while the image was on its way', () =>
    withSite(async ({ parent, store, pass }) => {
      await pushImage(parent, hello, one, v1);
      parent.before = async (call) => {
        if (call.startsWith('listReferrers')) await pushImage(store.local, hello, two, v1);
      };
      await pass();
      expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
    }));

  for (const [what, by] of [
    ['untagged', v1],
    ['deleted', one.manifest.digest],
  ] as const) {
    it(`does not bring back a tag whose image was ${what} here after the pass had begun`, () =>
      withSite(async ({ parent, store, pass }) => {
        await pushImage(store.local, hello, one, v1);
        await pass();
        parent.before = async (call) => {
          if (!call.startsWith('listTags')) return;
          await (by === v1 ? store.local.deleteTag(hello, v1) : store.local.deleteManifest(hello, one.manifest.digest));
        };
        await pass();
        expect(await store.resolveTag(hello, v1)).to.equal(undefined);
        parent.before = () => undefined;
        await pass();
        expect(await parent.resolveTag(hello, v1)).to.equal(undefined);
        expect(await store.resolveTag(hello, v1)).to.equal(undefined);
      }));
  }

  it('keeps the local change and tells the conflict, when it cannot be carried yet', () =>
    withSite(async ({ parent, store, pass, details }) => {
      await pushImage(parent, hello, one, v1);
      await pass();
      await pushImage(store.local, hello, two, v1);
      await pushImage(parent, hello, three, v1);
      parent.before = (call) => {
        if (call.startsWith('putManifest')) throw new ParentError('denied', 'read only token');
      };
      expect(await pass()).to.equal('Failed');
      expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(details()).to.have.members(['TAG_CONFLICT', 'PARENT_DENIED']);
    }));
});
