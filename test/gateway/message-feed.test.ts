import { expect } from 'chai';
import { readMessages } from '../../modules/registry/src/gateway/message-feed.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { withStore } from '../store/with-store.ts';

const [plant, office] = [repository('plant/hello'), repository('office/hello')];
const seesPlant = (name: string): boolean => name.startsWith('plant/');
const patient = (): AbortSignal => new AbortController().signal;

describe('readMessages()', () => {
  it(
    'tells where to begin without a cursor',
    withStore(async ({ store }) => {
      await pushImage(store.local, plant, sampleImage(['a']), tag('1'));
      const answer = await readMessages(store.journal, { after: undefined, sees: seesPlant, signal: patient() });
      expect(answer).to.deep.equal({ head: store.journal.head, messages: [] });
      expect(store.journal.head).to.be.greaterThan(0);
    }),
  );

  it(
    'tells the changes after the cursor, of the repositories the child sees alone',
    withStore(async ({ store, clock }) => {
      await pushImage(store.local, office, sampleImage(['b']), tag('1'));
      await pushImage(store.local, plant, sampleImage(['a']), tag('1'));
      const { head, messages } = await readMessages(store.journal, { after: 0, sees: seesPlant, signal: patient() });
      expect(head).to.equal(store.journal.head);
      expect(messages.map(({ repository: name, action }) => [name, action])).to.deep.equal([['plant/hello', 'push']]);
      expect(messages[0]).to.include({ tag: '1', timestamp: clock.now().toISOString() });
      expect(Object.keys(messages[0] ?? {})).not.to.include('origin');
    }),
  );

  it(
    'waits for a change the child sees, and is not woken by others',
    withStore(async ({ store }) => {
      const waiting = readMessages(store.journal, { after: 0, sees: seesPlant, signal: patient() });
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
      const answer = await readMessages(store.journal, { after: 0, sees: seesPlant, signal: ended });
      expect(answer).to.deep.equal({ head: store.journal.head, messages: [] });
    }),
  );

  it(
    'sends a child that is ahead back to its own head: this journal is another one',
    withStore(async ({ store }) => {
      const answer = await readMessages(store.journal, { after: 99, sees: seesPlant, signal: patient() });
      expect(answer).to.deep.equal({ head: 0, messages: [] });
    }),
  );
});
