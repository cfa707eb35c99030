import { expect } from 'chai';
import { startGarbageCollection, type GarbageCollection } from '../modules/registry/src/garbage-collection.ts';
import { parseSettings } from '../modules/registry/src/settings/parse-settings.ts';
import type { Settings } from '../modules/registry/src/settings/settings.ts';
import type { Collected, Store } from '../modules/registry/src/store/store.ts';
import { pushBlob } from './helpers/images.ts';
import { repository } from './helpers/names.ts';
import { dayMs, hourMs } from './store/garbage.ts';
import { withStore, type StoreTest } from './store/with-store.ts';

const plant = repository('plant');
const bytes = Buffer.from('a layer');
const nothing = { blobs: 0, bytes: 0, uploads: 0, manifests: 0 };
const one = { ...nothing, blobs: 1, bytes: bytes.length };

interface Site extends StoreTest {
  readonly garbage: GarbageCollection;
  /** Of each collection that ended; undefined for one that failed. */
  readonly ended: (Collected | undefined)[];
  /** Moves the clock, and waits for the collection that this starts. */
  readonly advanceToCollection: (milliseconds: number) => Promise<void>;
}

function withSite(
  body: (site: Site) => Promise<void>,
  collectGarbage?: (store: Store) => Store['collectGarbage'],
): () => Promise<void> {
  return withStore(async (test) => {
    const { store, clock, log } = test;
    const ended: Site['ended'] = [];
    let told = (): void => undefined;
    const garbage = await startGarbageCollection({
      store: collectGarbage ? { ...store, collectGarbage: collectGarbage(store) } : store,
      clock,
      log,
      onEnd(collected) {
        ended.push(collected);
        told();
      },
    });
    garbage.apply(settingsOf({}), { active: true });
    await clock.sleeping();
    try {
      await body({
        ...{ ...test, garbage, ended },
        async advanceToCollection(milliseconds) {
          const end = new Promise<void>((resolve) => (told = resolve));
          await clock.advance(milliseconds);
          await end;
          await clock.sleeping();
        },
      });
    } finally {
      await garbage.close();
    }
  });
}

describe('garbage collection', () => {
  it(
    'runs at five in the morning, UTC, every day',
    withSite(async ({ store, clock, log, ended, advanceToCollection }) => {
      await pushBlob(store.local, plant, bytes);
      await clock.advance(20 * hourMs - 1);
      expect(ended).to.deep.equal([]);
      await advanceToCollection(1);
      await advanceToCollection(dayMs);
      expect(ended).to.deep.equal([nothing, one]);
      expect(log.lines.filter(({ message }) => message === 'garbage collected').map(({ fields }) => fields)).to.eql(
        ended,
      );
    }),
  );

  it(
    'plans anew when the clock is set back while it waits',
    withSite(async ({ clock, ended, advanceToCollection }) => {
      clock.jump(-365 * dayMs);
      await clock.advance(60_000);
      await clock.sleeping();
      await advanceToCollection(20 * hourMs - 60_000);
      expect(ended).to.deep.equal([nothing]);
    }),
  );

  it(
    'follows the settings, and rests while it is not enabled or the registry not active',
    withSite(async ({ clock, garbage, ended, advanceToCollection }) => {
      garbage.apply(settingsOf({ garbageCollection: { enabled: false } }), { active: true });
      await clock.advance(dayMs);
      garbage.apply(settingsOf({}), { active: false });
      await clock.advance(dayMs);
      expect(ended).to.deep.equal([]);
      garbage.apply(settingsOf({ garbageCollection: { schedule: '30 * * * *' } }), { active: true });
      await clock.sleeping();
      await advanceToCollection(hourMs / 2);
      expect(ended).to.deep.equal([nothing]);
    }),
  );

  it(
    'makes up for a time at which it was not running',
    withSite(async ({ store, clock, log, garbage }) => {
      await garbage.close();
      await clock.advance(3 * dayMs);
      const { promise, resolve } = deferred<Collected | undefined>();
      const later = await startGarbageCollection({ store, clock, log, onEnd: resolve });
      later.apply(settingsOf({}), { active: true });
      await clock.sleeping();
      await clock.advance(10 * 60 * 1000);
      expect(await promise).to.deep.equal(nothing);
      await later.close();
    }),
  );

  it(
    'goes on after one that failed, at the next time',
    withSite(
      async ({ ended, log, advanceToCollection }) => {
        await advanceToCollection(20 * hourMs);
        await advanceToCollection(dayMs);
        expect(ended).to.deep.equal([undefined, nothing]);
        expect(log.lines.filter(({ level }) => level === 'error')).to.have.length(1);
      },
      (store) => {
        let calls = 0;
        return (options) => (++calls === 1 ? Promise.reject(new Error('disk')) : store.collectGarbage(options));
      },
    ),
  );
});

describe('collectNow()', () => {
  it(
    'tells the numbers, and in a dry run changes nothing',
    withSite(async ({ store, clock, garbage, ended }) => {
      await pushBlob(store.local, plant, bytes);
      garbage.apply(settingsOf({ garbageCollection: { enabled: false } }), { active: true });
      await clock.advance(dayMs);
      expect(await garbage.collectNow({ dryRun: true })).to.deep.equal(one);
      expect(store.contents.blobs).to.equal(1);
      expect(ended).to.deep.equal([]);
      expect(await garbage.collectNow({ dryRun: false })).to.deep.equal(one);
      expect(store.contents.blobs).to.equal(0);
      expect(ended).to.deep.equal([one]);
    }),
  );

  it('is refused while a collection runs, which closing stops', async () => {
    const begun = deferred<undefined>();
    const test = withSite(
      async ({ garbage }) => {
        const running = garbage.collectNow({ dryRun: false }).catch((error: unknown) => error);
        await begun.promise;
        expect(await garbage.collectNow({ dryRun: true })).to.equal(undefined);
        await garbage.close();
        expect(await running)
          .to.be.an('error')
          .with.property('message', 'closing');
      },
      () =>
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
            begun.resolve(undefined);
          }),
    );
    await test();
  });
});

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}

function settingsOf(document: object): Settings {
  const parsed = parseSettings(document);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}
