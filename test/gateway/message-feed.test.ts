import { expect } from 'chai';
import { readMessages } from '../../modules/registry/src/gateway/message-feed.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { withStore } from '../store/with-store.ts';

const [plant, office] = [repository('plant/hello'), repository('office/hello')];
const seesPlant = (name: string): boolean => name.startsWith('plant/');
const journalId = 'this-journal';
const at = (head: number, journal = journalId) => ({ journal, head });
const patient = (): AbortSignal => new AbortController().signal;

describe('readMessages()', () => {
  it(
    'tells where to begin without a cursor',
    withStore(async ({ store }) => {
      await pushImage(store.local, plant, sampleImage(['a']), tag('1'));
      const answer = await readMessages(store.journal, {
        journalId,
        after: undefined,
        sees: seesPlant,
        signal: patient(),
      });
      expect(answer).to.deep.equal({ ...at(store.journal.head), messages: [] });
      expect(store.journal.head).to.be.greaterThan(0);
    }),
  );

  it(
    'tells the changes after the cursor, of the repositories the child sees alone',
    withStore(async ({ store, clock }) => {
      await pushImage(store.local, office, sampleImage(['b']), tag('1'));
      await pushImage(store.local, plant, sampleImage(['a']), tag('1'));
      const { head, messages } = await readMessages(store.journal, {
        journalId,
        after: at(0),
        sees: seesPlant,
        signal: patient(),
      });
      expect(head).to.equal(store.journal.head);
      expect(messages.map(({ repository: name, action }) => [name, action])).to.deep.equal([['plant/hello', 'push']]);
      expect(messages[0]).to.include({ tag: '1', timestamp: clock.now().toISOString() });
      expect(Object.keys(messages[0] ?? {})).not.to.include('origin');
    }),
  );

  it(
    'waits for a change the child sees, and is not woken by others',
    withStore(async ({ store }) => {
      const waiting = readMessages(store.journal, { journalId, after: at(0), sees: seesPlant, signal: patient() });
      await pushImage(store.local, office, sampleImage(['b']), tag('1'));
      await pushImage(store.local, plant, sampleImage(['a']), tag('1'));
      expect((await waiting).messages.map(({ repository: name }) => name)).to.deep.equal(['plant/hello']);
    }),
  );

  it(
    'answers with nothing when the wait ends, past what the child does not see',
    withStore(async ({ store }) => {
      await pushImage(store.local, office, sampleImage(['b']), tag('1'));
      const ended = AbortSignal.abort(new Error('ended'));
      const answer = await readMessages(store.journal, { journalId, after: at(0), sees: seesPlant, signal: ended });
      expect(answer).to.deep.equal({ ...at(store.journal.head), messages: [] });
    }),
  );

  it(
    'tells a child that is ahead, or knows another journal, to compare afresh',
    withStore(async ({ store }) => {
      const answer = await readMessages(store.journal, {
        journalId,
        after: at(99),
        sees: seesPlant,
        signal: patient(),
      });
      expect(answer).to.deep.equal({ ...at(0), messages: [], expired: true });
      await pushImage(store.local, plant, sampleImage(['a']), tag('1'));
      const after = at(0, 'another-journal');
      const other = await readMessages(store.journal, { journalId, after, sees: seesPlant, signal: patient() });
      expect(other).to.deep.equal({ ...at(store.journal.head), messages: [], expired: true });
    }),
  );

  it(
    'tells a child to compare afresh when what it lacks is older than the message TTL',
    withStore(async ({ store, clock }) => {
      const ask = (head: number) =>
        readMessages(store.journal, { journalId, after: at(head), sees: seesPlant, signal: AbortSignal.abort() });
      await pushImage(store.local, plant, sampleImage(['a']), tag('1'));
      const { head } = store.journal;
      await clock.advance(1000);
      await store.journal.expire(clock.now());
      expect(await ask(head)).to.deep.equal({ ...at(head), messages: [] });
      expect(await ask(head - 1)).to.deep.equal({ ...at(head), messages: [], expired: true });
      await pushImage(store.local, plant, sampleImage(['b']), tag('1'));
      expect(await ask(head - 1)).to.deep.equal({ ...at(store.journal.head), messages: [], expired: true });
      expect((await ask(head)).messages.map(({ tag: name }) => name)).to.deep.equal(['1']);
    }),
  );

  it(
    'gives a crowd of changes in parts',
    withStore(async ({ store }) => {
      const image = sampleImage(['a']);
      await pushImage(store.local, plant, image, tag('v0'));
      const more = Array.from({ length: 1000 }, (_, index) => tag(`v${index + 1}`));
      await store.local.putManifest(plant, image.manifest, { tag: more[0]!, moreTags: more.slice(1) });
      const read = (head: number) =>
        readMessages(store.journal, { journalId, after: at(head), sees: seesPlant, signal: AbortSignal.abort() });
      const first = await read(0);
      expect([first.messages.length, first.more]).to.deep.equal([1000, true]);
      const second = await read(first.head);
      expect([second.messages.length, second.more]).to.deep.equal([1, undefined]);
      expect(second.head).to.equal(store.journal.head);
    }),
  );
});
