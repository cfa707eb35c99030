import { expect } from 'chai';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { watchLink, type LinkWatch } from '../../modules/registry/src/sync/link-watch.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { MemoryRegistry } from './memory-registry.ts';

const stillMs = 20_000;

describe('watchLink()', () => {
  let clock: ManualClock;
  let parent: MemoryRegistry;
  let silences: Error[];
  let movedBytes: number;
  let link: LinkWatch;
  /** Ends the questions that the parent has not answered. */
  let answer: (error?: Error) => void;

  beforeEach(() => {
    clock = new ManualClock();
    parent = new MemoryRegistry();
    silences = [];
    movedBytes = 0;
    parent.before = () =>
      new Promise((resolve, reject) => {
        answer = (error) => (error ? reject(error) : resolve());
      });
    link = watchLink({
      ...{ parent, clock, movedBytes: () => movedBytes, signal: new AbortController().signal },
      onSilent: (reason) => silences.push(reason),
    });
  });
  afterEach(() => link.close());

  const gone = new ParentError('unreachable', 'no answer');
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('asks once nothing has come for 20 s, and tells that nobody answers', async () => {
    await clock.advance(stillMs - 1);
    expect(parent.calls).to.deep.equal([]);
    await clock.advance(1);
    expect(parent.calls).to.deep.equal(['ping']);
    answer(gone);
    await settled();
    expect(silences).to.deep.equal([gone]);
  });

  it('asks 20 to 25 s after the last answer, whenever that came', async () => {
    for (const laterMs of [1, 4999, 5000, 7000]) {
      await clock.advance(laterMs);
      parent.answers += 1;
      parent.calls.length = 0;
      await clock.advance(stillMs - 1);
      expect(parent.calls).to.deep.equal([]);
      await clock.advance(5001);
      expect(parent.calls).to.deep.equal(['ping']);
      answer();
      await settled();
    }
  });

  it('asks nothing while bytes move, or the parent answers', async () => {
    for (let count = 0; count < 3; count += 1) {
      movedBytes += 1;
      await clock.advance(stillMs);
      parent.answers += 1;
      await clock.advance(stillMs);
    }
    expect(parent.calls).to.deep.equal([]);
  });

  it('goes on where its own question is lost, and anything else came meanwhile', async () => {
    for (const move of [() => (movedBytes += 1), () => (parent.answers += 1)]) {
      await clock.advance(2 * stillMs);
      move();
      answer(gone);
      await settled();
      expect(silences).to.deep.equal([]);
    }
    await clock.advance(2 * stillMs);
    answer(gone);
    await settled();
    expect(silences).to.deep.equal([gone]);
  });

  it('asks nothing any more, once it is closed', async () => {
    await link.close();
    await clock.advance(10 * stillMs);
    expect(parent.calls).to.deep.equal([]);
    expect(clock.nextWait).to.equal(undefined);
  });
});
