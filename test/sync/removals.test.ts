import { expect } from 'chai';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { isTooMuch } from '../../modules/registry/src/sync/removal-guard.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { rules, withSite, type Site } from './pass-fixture.ts';

const [hello, other] = [repository('plant/hello'), repository('plant/other')];
const image = sampleImage(['one']);
const tags = Array.from({ length: 10 }, (_, index) => tag(`v${index}`));
const [first, second, third, fourth, fifth] = tags;
const removal = { freeTags: 2, maxPercent: 30 };
const day = 24 * 3_600_000;

describe('isTooMuch()', () => {
  for (const [gone, recent, held, expected] of [
    [20, 0, 20, false],
    [21, 0, 42, false],
    [21, 0, 41, true],
    [1, 20, 22, false],
    [1, 20, 21, true],
    [0, 0, 0, false],
  ] as const) {
    it(`says ${expected} for ${gone} of ${held} after ${recent}`, () => {
      const limits = { freeTags: 20, maxPercent: 50 };
      expect(isTooMuch({ tags: gone, recent, held }, limits)).to.equal(expected);
    });
  }

  it('is never, at 100 percent', () => {
    expect(isTooMuch({ tags: 9, recent: 99, held: 9 }, { freeTags: 0, maxPercent: 100 })).to.equal(false);
  });
});

/** Ten tags at the parent and here, on a ReadOnly registry. */
async function inSync({ parent, pass }: Site): Promise<void> {
  for (const name of tags) await pushImage(parent, hello, image, name);
  expect(await pass({ mode: 'ReadOnly' })).to.equal('Succeeded');
}

async function held({ store }: Site): Promise<number> {
  return (await store.describeRepository(hello))?.tags ?? 0;
}

describe('removals of a pass', () => {
  it('take what a narrowed rule takes no more, up to the limit as well, and nothing on a ReadWrite registry', () =>
    withSite(
      async (site) => {
        const { pass, details } = site;
        await inSync(site);
        const narrow = (...globs: string[]) => [{ ...rules('plant/hello')[0]!, tags: globs }];
        await pass({ mode: 'ReadWrite', rules: narrow('!v0', '!v1') });
        expect(await held(site)).to.equal(10);
        expect(await pass({ mode: 'ReadOnly', rules: narrow('!v0', '!v1') })).to.equal('Succeeded');
        expect(await held(site)).to.equal(8);
        await pass({ mode: 'ReadOnly', rules: narrow('v9') });
        expect([await held(site), ...details()]).to.deep.equal([8, 'REMOVAL_HELD']);
        await pass({ mode: 'ReadOnly', rules: narrow('v9'), confirmRemoval: true });
        expect([await held(site), ...details()]).to.deep.equal([1]);
      },
      { removal },
    ));

  it('follow the parent up to the limit, beyond which nothing goes until it is confirmed, and the rest goes on', () =>
    withSite(
      async (site) => {
        const { parent, store, pass, details } = site;
        await inSync(site);
        for (const name of [first!, second!, third!]) await parent.deleteTag(hello, name);
        await pass({ mode: 'ReadOnly' });
        expect(await held(site)).to.equal(7);
        expect(details()).to.deep.equal([]);

        await parent.deleteTag(hello, fourth!);
        await pushImage(parent, other, image, first);
        expect(await pass({ mode: 'ReadOnly' })).to.equal('Succeeded');
        expect(await held(site), 'four of ten within a day').to.equal(7);
        expect(details()).to.deep.equal(['REMOVAL_HELD']);
        expect(await store.resolveTag(other, first!)).to.equal(image.manifest.digest);

        await pass({ mode: 'ReadOnly', confirmRemoval: true });
        expect(await held(site)).to.equal(6);
        expect(details()).to.deep.equal([]);
        await parent.deleteTag(hello, fifth!);
        await pass({ mode: 'ReadOnly' });
        expect(await held(site), 'what was confirmed does not count any more').to.equal(5);
      },
      { removal },
    ));

  it('are counted over a day', () =>
    withSite(
      async (site) => {
        const { parent, clock, pass } = site;
        await inSync(site);
        for (const name of [first!, second!, third!]) await parent.deleteTag(hello, name);
        await pass({ mode: 'ReadOnly' });
        await parent.deleteTag(hello, fourth!);
        await clock.advance(day);
        await pass({ mode: 'ReadOnly' });
        expect(await held(site)).to.equal(6);
      },
      { removal },
    ));

  it('are no longer held, when the parent has again what was gone', () =>
    withSite(
      async (site) => {
        const { parent, pass, details } = site;
        await inSync(site);
        for (const name of tags.slice(1)) await parent.deleteTag(hello, name);
        await pass({ mode: 'ReadOnly' });
        expect(details()).to.deep.equal(['REMOVAL_HELD']);
        for (const name of tags) await pushImage(parent, hello, image, name);
        await pass({ mode: 'ReadOnly' });
        expect(details()).to.deep.equal([]);
        expect(await held(site)).to.equal(10);
      },
      { removal },
    ));

  it('hold a repository that is no longer listed', () =>
    withSite(
      async (site) => {
        const { pass, details } = site;
        await inSync(site);
        await pass({ mode: 'ReadOnly', rules: rules('plant/other') });
        expect(await held(site)).to.equal(10);
        expect(details()).to.include('REMOVAL_HELD');
        await pass({ mode: 'ReadOnly', rules: rules('plant/other'), confirmRemoval: true });
        expect(await held(site)).to.equal(0);
      },
      { removal },
    ));

  it('are carried out as far as they are known, when the pass ends early', () =>
    withSite(async (site) => {
      const { parent, pass, store } = site;
      await inSync(site);
      await parent.deleteTag(hello, first!);
      await pushImage(parent, other, sampleImage(['two']), first);
      let known = (): void => undefined;
      const isKnown = new Promise<void>((resolve) => (known = resolve));
      parent.before = async (call) => {
        // The question whether the tag is really gone comes last.
        if (call === `resolveTag ${hello} ${first!}`) setImmediate(known);
        if (call === `listTags ${other}`) await isKnown;
        if (call.startsWith(`listReferrers ${other}`)) throw new ParentError('throttled', 'slow down');
      };
      expect(await pass({ mode: 'ReadOnly', rules: rules('plant/hello', 'plant/other') })).to.equal('Failed');
      expect(await store.resolveTag(hello, first!)).to.equal(undefined);
    }));
});
