import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { ParentError, type MessageFeedAnswer, type ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { followMessages } from '../../modules/registry/src/sync/follow-messages.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

/** A feed whose answers a test hands out one by one. */
class Feed {
  readonly asked: (number | undefined)[] = [];
  readonly heard: (number | undefined)[] = [];
  #answers: ((answer: MessageFeedAnswer | undefined | Error) => void)[] = [];
  #watchers: (() => void)[] = [];

  readMessages: ParentRegistry['readMessages'] = ({ after, arriving, waitSeconds, signal }) => {
    expect(waitSeconds).to.equal(50);
    this.asked.push(after?.head);
    this.heard.push(arriving);
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.#answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      for (const watcher of this.#watchers.splice(0)) watcher();
    });
  };

  /** Answers the question that is open, or the next one. */
  async answer(answer: MessageFeedAnswer | undefined | Error): Promise<void> {
    if (this.#answers.length === 0) await new Promise<void>((resolve) => this.#watchers.push(resolve));
    this.#answers.shift()?.(answer);
  }
}

const message = { action: 'push', repository: repository('plant/hello'), digest: digestOf(Buffer.of()) } as const;
const answer = (head: number, part: Partial<MessageFeedAnswer> = {}): MessageFeedAnswer => ({
  cursor: { journal: 'j1', head },
  messages: [],
  expired: false,
  more: false,
  ...part,
});

describe('followMessages()', () => {
  let feed: Feed;
  let clock: ManualClock;
  let changes: number;
  let refusals: number;
  let silences: number;
  let arriving: string[];
  let stop: AbortController;
  let ended: Promise<void>;

  function follow(since?: number): void {
    ended = followMessages({
      parent: feed,
      since: since === undefined ? undefined : { journal: 'j1', head: since },
      signal: stop.signal,
      clock,
      log: new RecordingLog(),
      random: () => 0.5,
      onChange: () => (changes += 1),
      onArriving: (blobs) => arriving.push(...blobs.map(({ digest }) => digest)),
      onRefused: () => (refusals += 1),
      onSilent: () => (silences += 1),
    });
  }

  beforeEach(() => {
    [feed, clock, changes, refusals, stop] = [new Feed(), new ManualClock(), 0, 0, new AbortController()];
    arriving = [];
    silences = 0;
  });
  afterEach(async () => {
    stop.abort(new Error('the test is over'));
    await ended;
  });

  /** Answers, and lets the pause between two questions pass. */
  async function turn(given: MessageFeedAnswer | undefined | Error): Promise<void> {
    await feed.answer(given);
    await clock.sleeping();
    await clock.advance(clock.nextWait ?? 0);
  }

  it('calls for a pass at first contact and at each change, and goes on from the head', async () => {
    follow();
    await turn(answer(5));
    await turn(answer(5));
    expect(changes).to.equal(1);
    await turn(answer(9, { messages: [message] }));
    expect(changes).to.equal(2);
    await feed.answer(answer(9));
    expect(feed.asked).to.deep.equal([undefined, 5, 5, 9]);
  });

  it('calls for no pass at first contact, when it knows where to go on', async () => {
    follow(5);
    await turn(answer(7));
    expect([changes, ...feed.asked]).to.deep.equal([0, 5, 7]);
  });

  it('calls for a pass when the parent knows no more what happened', async () => {
    follow(5);
    await turn(answer(2, { expired: true }));
    expect(changes).to.equal(1);
  });

  it('asks again at its usual pace, when the clock was set back while it waited', async () => {
    follow(5);
    clock.jump(-86_400_000);
    await feed.answer(answer(6, { messages: [message] }));
    await clock.sleeping();
    expect(clock.nextWait).to.equal(250);
  });

  it('goes on from where it was after a failure, with growing pauses', async () => {
    follow();
    await turn(answer(5));
    const waits: (number | undefined)[] = [];
    for (let count = 0; count < 3; count += 1) {
      await feed.answer(new ParentError('unreachable', 'gone'));
      await clock.sleeping();
      waits.push(clock.nextWait);
      await clock.advance(clock.nextWait ?? 0);
    }
    expect(waits).to.deep.equal([750, 1500, 3000]);
    await turn(answer(6, { messages: [message] }));
    expect(feed.asked).to.deep.equal([undefined, 5, 5, 5, 5, 6]);
    expect([changes, refusals]).to.deep.equal([2, 0]);
  });

  it('hands hints on, once each, and calls for no pass', async () => {
    const blob = { ...message, tag: tag('1'), size: 1 };
    follow(5);
    await turn(answer(5, { arriving: { head: 70, blobs: [blob] } }));
    await turn(answer(5, { arriving: { head: 71, blobs: [] } }));
    await turn(answer(5));
    expect([arriving, changes]).to.deep.equal([[blob.digest], 0]);
    expect(feed.heard).to.deep.equal([0, 70, 71, 0]);
  });

  it('tells once that the parent does not answer any more, and again after it has answered', async () => {
    follow(5);
    for (const expected of [1, 1]) {
      await turn(new ParentError('unreachable', 'gone'));
      expect(silences).to.equal(expected);
    }
    await turn(answer(5));
    await turn(new ParentError('broken', 'nonsense'));
    expect(silences).to.equal(1);
    await turn(answer(5));
    await turn(new ParentError('unreachable', 'gone'));
    expect([silences, changes]).to.deep.equal([2, 0]);
  });

  it('tells that this instance is not the active one', async () => {
    follow(5);
    await turn(new ParentError('held', 'another instance'));
    expect([changes, refusals]).to.deep.equal([0, 1]);
  });

  it('asks a parent without a feed again after an hour', async () => {
    follow();
    await feed.answer(undefined);
    await clock.sleeping();
    expect(clock.nextWait).to.equal(3_600_000);
    expect(changes).to.equal(0);
  });
});
