import { expect } from 'chai';
import { ParentError, type MessageFeedAnswer } from '../../modules/registry/src/parent/parent.ts';
import { followMessages } from '../../modules/registry/src/sync/follow-messages.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

/** A feed whose answers a test hands out one by one. */
class Feed {
  readonly asked: (number | undefined)[] = [];
  #answers: ((answer: MessageFeedAnswer | undefined | Error) => void)[] = [];
  #watchers: (() => void)[] = [];

  readMessages = ({
    after,
    signal,
  }: {
    after?: number;
    signal: AbortSignal;
  }): Promise<MessageFeedAnswer | undefined> => {
    this.asked.push(after);
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

describe('followMessages()', () => {
  let feed: Feed;
  let clock: ManualClock;
  let changes: number;
  let stop: AbortController;
  let ended: Promise<void>;

  beforeEach(() => {
    [feed, clock, changes, stop] = [new Feed(), new ManualClock(), 0, new AbortController()];
    ended = followMessages({
      parent: feed,
      signal: stop.signal,
      clock,
      log: new RecordingLog(),
      random: () => 0.5,
      onChange: () => (changes += 1),
    });
  });
  afterEach(async () => {
    stop.abort(new Error('the test is over'));
    await ended;
  });

  /** Answers, and lets the pause between two questions pass. */
  async function turn(answer: MessageFeedAnswer | undefined | Error): Promise<void> {
    await feed.answer(answer);
    await clock.sleeping();
    await clock.advance(clock.nextWait ?? 0);
  }

  it('calls for a pass at first contact and at each change, and goes on from the head', async () => {
    await turn({ head: 5, changed: false });
    await turn({ head: 5, changed: false });
    expect(changes).to.equal(1);
    await turn({ head: 9, changed: true });
    expect(changes).to.equal(2);
    await feed.answer({ head: 9, changed: false });
    expect(feed.asked).to.deep.equal([undefined, 5, 5, 9]);
  });

  it('asks anew from the start after a failure, with growing pauses', async () => {
    await turn({ head: 5, changed: false });
    const waits: (number | undefined)[] = [];
    for (let count = 0; count < 3; count += 1) {
      await feed.answer(new ParentError('unreachable', 'gone'));
      await clock.sleeping();
      waits.push(clock.nextWait);
      await clock.advance(clock.nextWait ?? 0);
    }
    expect(waits).to.deep.equal([750, 1500, 3000]);
    await turn({ head: 2, changed: false });
    expect(feed.asked).to.deep.equal([undefined, 5, undefined, undefined, undefined, 2]);
    expect(changes).to.equal(2);
  });

  it('asks a parent without a feed again after an hour', async () => {
    await feed.answer(undefined);
    await clock.sleeping();
    expect(clock.nextWait).to.equal(3_600_000);
    expect(changes).to.equal(0);
  });
});
