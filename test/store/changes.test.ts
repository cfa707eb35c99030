import { expect } from 'chai';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { brief, codeOf, collect, withStore } from './with-store.ts';

const plant = repository('plant');
const v1 = tag('1');

describe('journal', () => {
  it(
    'is gapless and in order under many writers at once',
    withStore(async ({ store, reopen }) => {
      const names = Array.from({ length: 60 }, (_, number) => repository(`writer${number}`));
      await Promise.all(names.map((name) => pushImage(store.local, name, sampleImage([name]), v1)));
      const sequences = (await collect(store.journal.readAfter(0))).map(({ sequence }) => sequence);
      expect(sequences).to.deep.equal(names.map((_, position) => position + 1));
      const again = await reopen();
      expect(again.journal.head).to.equal(60);
      expect((await collect(again.journal.readAfter(58))).map(({ sequence }) => sequence)).to.deep.equal([59, 60]);
      expect(await collect(again.journal.readAfter(60))).to.deep.equal([]);
    }),
  );

  it(
    'expires what is older, and its head stays, over a restart too',
    withStore(async ({ store, clock, reopen }) => {
      expect(store.journal.head).to.equal(0);
      await pushImage(store.local, plant, sampleImage(['old']), v1);
      await clock.advance(60_000);
      await pushImage(store.local, plant, sampleImage(['new']), v1);
      expect(await store.journal.expire(clock.now())).to.equal(1);
      expect((await collect(store.journal.readAfter(0))).map(({ sequence }) => sequence)).to.deep.equal([2]);
      expect(await store.journal.expire(new Date(clock.now().getTime() + 1))).to.equal(1);
      const again = await reopen();
      expect(again.journal.head).to.equal(2);
      await pushImage(again.local, plant, sampleImage(['newer']), v1);
      expect((await collect(again.journal.readAfter(0))).map(({ sequence }) => sequence)).to.deep.equal([3]);
    }),
  );
});

describe('journal.advanced()', () => {
  it(
    'resolves when the head passes, at once when it has, and ends with the signal or the store',
    withStore(async ({ store }) => {
      const abort = new AbortController();
      const waiting = store.journal.advanced(0, abort.signal);
      await pushImage(store.local, plant, sampleImage(['x']), v1);
      await waiting;
      await store.journal.advanced(0, abort.signal);
      const left = store.journal.advanced(1, AbortSignal.any([abort.signal])).catch((reason: unknown) => reason);
      const closed = codeOf(store.journal.advanced(1, new AbortController().signal));
      abort.abort(new Error('enough'));
      expect(await left).to.equal(abort.signal.reason);
      await store.close();
      expect(await closed).to.equal('UNAVAILABLE');
    }),
  );
});

describe('outbox', () => {
  it(
    'holds local changes, not those of the parent, until they are done',
    withStore(
      async ({ store, clock, reopen }) => {
        const started = clock.now();
        expect(await store.outbox.pending()).to.deep.equal({ count: 0 });
        await pushImage(store.replica, plant, sampleImage(['theirs']), v1);
        await pushImage(store.local, plant, sampleImage(['ours']), v1);
        await clock.advance(5000);
        await store.local.deleteTag(plant, v1);
        const again = await reopen();
        const waiting = await collect(again.outbox.read());
        expect(waiting.map(brief)).to.deep.equal(['push plant:1', 'untag plant:1']);
        expect(await again.outbox.pending()).to.deep.equal({ count: 2, oldest: started });
        await again.outbox.done(waiting[0]!);
        await again.outbox.done(waiting[0]!);
        expect(await again.outbox.pending()).to.deep.equal({ count: 1, oldest: clock.now() });
      },
      { carries: () => true },
    ),
  );

  it(
    'leaves the common base behind, for the digest that was carried',
    withStore(
      async ({ store }) => {
        const [first, second] = [sampleImage(['1']), sampleImage(['2'])];
        await pushImage(store.local, plant, first, v1);
        await pushImage(store.local, plant, second, v1);
        const [carried] = await collect(store.outbox.read());
        await store.outbox.done(carried!);
        expect(await store.describeTag(plant, v1)).to.deep.include({
          digest: second.manifest.digest,
          base: first.manifest.digest,
          origin: 'local',
        });
      },
      { carries: () => true },
    ),
  );

  it('is asked for at each change', async () => {
    let carries = false;
    const test = withStore(
      async ({ store }) => {
        await pushImage(store.local, plant, sampleImage(['1']), v1);
        carries = true;
        await pushImage(store.local, plant, sampleImage(['2']), v1);
        expect((await collect(store.outbox.read())).map(({ sequence }) => sequence)).to.deep.equal([2]);
      },
      { carries: () => carries },
    );
    await test();
  });
});
