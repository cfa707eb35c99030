import { expect } from 'chai';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { previewPass, type Preview } from '../../modules/registry/src/sync/preview.ts';
import { createRemovalGuard } from '../../modules/registry/src/sync/removal-guard.ts';
import { pushImage, sampleImage, sampleIndex, type SampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withSite, type Site } from './pass-fixture.ts';

const [hello, other, third] = ['plant/hello', 'plant/other', 'plant/third'].map(repository) as [
  ReturnType<typeof repository>,
  ReturnType<typeof repository>,
  ReturnType<typeof repository>,
];
const [v1, v2, v3] = [tag('v1'), tag('v2'), tag('v3')];
const [one, two] = [sampleImage(['base', 'one']), sampleImage(['base', 'two'])];

function preview({ store, parent, clock }: Site, part: object = {}, signal = new AbortController().signal) {
  const parsed = parseSettings({ mode: 'ReadOnly', repositories: ['plant/*'], ...part }, { variables: {} });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const guard = createRemovalGuard({ records: store.records, clock });
  return previewPass({ store, parent, settings: parsed.settings, guard, signal, clock, log: new RecordingLog() });
}

function bytesOf(...images: readonly SampleImage[]): number {
  const contents = new Set(images.flatMap(({ manifest, blobs }) => [manifest.bytes, ...blobs]).map(String));
  return [...contents].reduce((sum, content) => sum + Buffer.byteLength(content), 0);
}

describe('previewPass()', () => {
  it('counts each blob and manifest once, and fetches and changes nothing', () =>
    withSite(async (site) => {
      const { parent, store } = site;
      await pushImage(parent, hello, one, v1);
      await pushImage(parent, hello, one, v2);
      await pushImage(parent, hello, two, v3);
      const head = store.journal.head;
      expect(await preview(site, { transfer: { concurrency: 1 } })).to.deep.equal({
        complete: true,
        tags: { copy: 3, move: 0, remove: 0 },
        ...{ repositoriesRemoved: 0, removalHeld: false },
        ...{ manifests: 2, blobs: 5, bytes: bytesOf(one, two), outboxPending: 0 },
        repositories: [
          {
            ...{ name: hello, copy: 3, move: 0, remove: 0, bytes: bytesOf(one, two) },
            tags: ['copy v1', 'copy v2', 'copy v3'],
          },
        ],
        ...{ omitted: 0, problems: [] },
      } satisfies Preview);
      expect(parent.callsOf('readBlob')).to.deep.equal([]);
      expect(store.journal.head).to.equal(head);
      expect(await store.hasRepository(hello)).to.equal(false);
    }));

  it('counts what a pass then does: only what is missing, with the signatures, and moves and removals', () =>
    withSite(async (site) => {
      const { parent, store, pass } = site;
      await pushImage(parent, hello, one, v1);
      await pushImage(parent, hello, one, v2);
      await pass({ mode: 'ReadOnly' });
      await parent.deleteTag(hello, v2);
      await pushImage(parent, hello, two, v1);
      const signature = sampleImage(['signature'], { subject: two.manifest });
      await pushImage(parent, hello, signature);
      await pushImage(parent, other, one, v1);
      const told = await preview(site);
      expect(told.tags).to.deep.equal({ copy: 1, move: 1, remove: 1 });
      expect(told.repositories.map(({ name, tags }) => [name, [...tags].sort()])).to.deep.equal([
        [hello, ['move v1', 'remove v2']],
        [other, ['copy v1']],
      ]);
      expect(told.bytes - one.manifest.bytes.length).to.equal(
        bytesOf(two, signature) - Buffer.byteLength('base'),
        'what is here in another repository is linked',
      );
      parent.calls.length = 0;
      await pass({ mode: 'ReadOnly' });
      expect(parent.callsOf('readBlob')).to.have.length(told.blobs);
      expect((await store.describeRepository(hello))?.tags).to.equal(1);
    }));

  it('takes rules and platforms into account, and tells what no rule names any more', () =>
    withSite(async (site) => {
      const { parent, pass } = site;
      const arm = { os: 'linux', architecture: 'arm64' };
      const index = sampleIndex([
        [{ os: 'linux', architecture: 'amd64' }, one],
        [arm, sampleImage(['arm'], { platform: arm })],
      ]);
      await pushImage(parent, other, one, v1);
      await pass({ mode: 'ReadOnly' });
      await pushImage(parent, hello, index, v1);
      await pushImage(parent, hello, two, v2);
      const rule = { name: 'plant/hello', tags: ['v1'], platforms: ['linux/amd64'] };
      const told = await preview(site, { repositories: [rule], removal: { freeTags: 0 } });
      expect(told).to.include({ manifests: 2, blobs: 0, repositoriesRemoved: 1, removalHeld: true });
      expect(told.repositories.map(({ tags }) => tags)).to.deep.equal([['copy v1'], ['remove the repository']]);
    }));

  it('is incomplete and says why, when a repository fails and when the parent is gone', () =>
    withSite(async (site) => {
      const { parent } = site;
      await pushImage(parent, hello, one, v1);
      await pushImage(parent, other, one, v1);
      parent.before = (call) => {
        if (call.startsWith(`listTags ${hello}`)) throw new ParentError('denied', 'no');
      };
      const told = await preview(site);
      expect(told)
        .to.include({ complete: false })
        .and.to.deep.include({ problems: ['plant/hello: no'] });
      expect(told.tags.copy).to.equal(1);
      parent.before = () => {
        throw new ParentError('unreachable', 'no route');
      };
      expect(await preview(site)).to.deep.include({ complete: false, problems: ['no route'] });
    }));

  it('ends when the time is over, with what it knows', () =>
    withSite(async (site) => {
      const { parent } = site;
      await pushImage(parent, hello, one, v1);
      await pushImage(parent, third, one, v1);
      const stop = new AbortController();
      parent.before = (call) => {
        if (call.startsWith(`listTags ${third}`)) stop.abort(new Error('the time was over'));
      };
      const told = await preview(site, { transfer: { concurrency: 1 } }, stop.signal);
      expect(told).to.deep.include({ complete: false, problems: ['the time was over'] });
      expect(told.tags.copy).to.equal(1);
    }));

  it('stays small, however much there is to tell', () =>
    withSite(async (site) => {
      const { parent } = site;
      const long = 'x'.repeat(100);
      for (let number = 0; number < 70; number += 1) {
        const name = repository(`plant/${long}/${long}${number}`);
        for (let version = 0; version < 12; version += 1) {
          await pushImage(parent, name, one, tag(`${'v'.repeat(120)}${version}`));
        }
      }
      const told = await preview(site);
      expect(told).to.include({ omitted: 20 });
      expect(told.tags.copy).to.equal(70 * 12);
      expect(JSON.stringify(told).length).to.be.lessThan(100_000);
    }));
});
