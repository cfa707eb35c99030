import { expect } from 'chai';
import { createArrivals } from '../../modules/registry/src/gateway/arrivals.ts';
import { readMessages } from '../../modules/registry/src/gateway/message-feed.ts';
import type { ArrivingBlob } from '../../modules/registry/src/oci/arriving-blob.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { withStore } from '../store/with-store.ts';

const blobOf = (name: string): ArrivingBlob => ({
  ...{ repository: repository(name), tag: tag('1') },
  ...{ digest: digestOf(Buffer.from(name)), size: 10 },
});
const [plant, office] = [blobOf('plant/hello'), blobOf('office/hello')];

describe('createArrivals()', () => {
  it('tells what began after a number, in order, until it ends', () => {
    const arrivals = createArrivals({ clock: new ManualClock() });
    const begun = arrivals.head;
    const end = arrivals.begin(plant);
    const first = arrivals.head;
    arrivals.begin(office);
    expect(arrivals.after(begun)).to.deep.equal([plant, office]);
    expect(arrivals.after(first)).to.deep.equal([office]);
    end();
    expect(arrivals.after(0)).to.deep.equal([office]);
    expect(arrivals.after(arrivals.head)).to.deep.equal([]);
  });

  it('tells what is mentioned for a minute, and no longer when the clock is set back', async () => {
    const pushed = { repository: plant.repository, digest: plant.digest, size: plant.size };
    for (const laterMs of [60_000, -1]) {
      const clock = new ManualClock();
      const arrivals = createArrivals({ clock });
      arrivals.mention(pushed);
      await clock.advance(59_999);
      arrivals.begin(office);
      expect(arrivals.after(0)).to.deep.equal([pushed, office]);
      clock.jump(-59_999);
      expect(arrivals.after(0)).to.deep.equal([pushed, office]);
      clock.jump(laterMs);
      expect(arrivals.after(0)).to.deep.equal([office]);
    }
  });

  it('tells everything to who heard numbers of an earlier run, whatever the clock said then', async () => {
    const clock = new ManualClock();
    const { head } = createArrivals({ clock });
    await clock.advance(1);
    for (const heard of [head, head + 1000]) {
      const later = createArrivals({ clock });
      later.begin(plant);
      expect(later.after(heard)).to.deep.equal([plant]);
    }
  });
});

describe('readMessages() with hints', () => {
  const journalId = 'this-journal';
  const sees = (name: string): boolean => name.startsWith('plant/');
  const after = { journal: journalId, head: 0 };

  it(
    'answers a waiting child when a blob begins to arrive that it sees, and is not ended by others',
    withStore(async ({ store, clock }) => {
      const arrivals = createArrivals({ clock });
      const { signal } = new AbortController();
      const asked = { journalId, after, sees, signal };
      const waiting = readMessages(store.journal, { ...asked, hints: { arrivals, after: arrivals.head } });
      arrivals.begin(office);
      arrivals.begin(plant);
      const { messages, arriving } = await waiting;
      expect([messages, arriving]).to.deep.equal([[], { head: arrivals.head, blobs: [plant] }]);
      const next = readMessages(store.journal, { ...asked, hints: { arrivals, after: arrivals.head } });
      await pushImage(store.local, plant.repository, sampleImage(['a']), tag('1'));
      expect((await next).arriving).to.deep.equal({ head: arrivals.head, blobs: [] });
    }),
  );

  it(
    'tells a child that does not ask for them nothing',
    withStore(async ({ store }) => {
      const ended = AbortSignal.abort(new Error('ended'));
      const answer = await readMessages(store.journal, { journalId, after, sees, signal: ended });
      expect(answer).not.to.have.property('arriving');
    }),
  );
});
