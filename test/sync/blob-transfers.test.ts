import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { createBlobTransfers, type BlobTransfers } from '../../modules/registry/src/sync/blob-transfers.ts';
import { descriptorOf, pushBlob } from '../helpers/images.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withParent, type Seen } from '../parent/scripted-registry.ts';
import { withStore } from '../store/with-store.ts';
import { cutAfter, MemoryRegistry } from './memory-registry.ts';
import { patiently } from './patiently.ts';

const hello = repository('plant/hello');
const bytes = Buffer.from('0123456789');
const blob = descriptorOf(bytes, 'application/octet-stream');

describe('BlobTransfers.carry()', () => {
  let clock: ManualClock;
  let transfers: BlobTransfers;
  let source: MemoryRegistry;
  let target: MemoryRegistry;
  const never = new AbortController().signal;

  beforeEach(async () => {
    clock = new ManualClock();
    transfers = createBlobTransfers({ clock, log: new RecordingLog(), random: () => 1 });
    source = new MemoryRegistry();
    target = new MemoryRegistry();
    await pushBlob(source, hello, bytes);
    source.calls.length = 0;
  });

  function carry(options: { signal?: AbortSignal; name?: string; counted?: number[] } = {}) {
    const { signal = never, name = 'plant/hello', counted = [] } = options;
    const progress = {
      found: () => undefined,
      resumed: () => undefined,
      done: () => undefined,
      received: (size: number) => counted.push(size),
    };
    return transfers.carry({ source, target, repository: repository(name), blob, signal, progress });
  }

  it('sends a blob and counts its bytes', async () => {
    const counted: number[] = [];
    expect(await carry({ counted })).to.equal('sent');
    expect(await target.hasBlob(hello, blob.digest)).to.equal(true);
    expect(counted.reduce((sum, size) => sum + size, 0)).to.equal(10);
  });

  it('asks the source for nothing, when the target has it or can mount it', async () => {
    await pushBlob(target, repository('other'), bytes);
    expect(await carry()).to.equal('mounted');
    expect(await carry()).to.equal('present');
    expect(source.calls).to.deep.equal([]);
  });

  it('goes on at the byte where it was cut, again and again', async () => {
    source.content = cutAfter(1);
    const counted: number[] = [];
    expect(await patiently(clock, carry({ counted }))).to.equal('sent');
    expect(source.callsOf('readBlob').map((call) => call.split(' ')[2])).to.deep.equal(
      Array.from({ length: 10 }, (_, i) => String(i)),
    );
    expect(counted.reduce((sum, size) => sum + size, 0)).to.equal(10);
  });

  it('gives up, when some tries in a row bring nothing', async () => {
    source.before = (call) => {
      if (call.startsWith('readBlob')) throw new ParentError('unreachable', 'no route');
    };
    const error = await patiently(clock, carry()).catch((error: unknown) => error);
    expect(error).to.have.property('failure', 'unreachable');
    expect(source.callsOf('readBlob')).to.have.length(4);
  });

  it('does not try again, when the parent says a clear no', async () => {
    source.before = (call) => {
      if (call.startsWith('readBlob')) throw new ParentError('denied', 'no');
    };
    expect(await carry().catch((error: unknown) => error)).to.have.property('failure', 'denied');
    expect(source.callsOf('readBlob')).to.have.length(1);
  });

  it('starts from zero once, when the content is wrong', async () => {
    let reads = 0;
    source.content = (content) => Readable.from([++reads === 1 ? Buffer.from('abcdefghij') : content]);
    const counted: number[] = [];
    expect(await patiently(clock, carry({ counted }))).to.equal('sent');
    expect(reads).to.equal(2);
    expect(counted.reduce((sum, size) => sum + size, 0)).to.equal(10);
  });

  for (const [what, content] of [
    ['other bytes', Buffer.from('abcdefghij')],
    ['too many bytes', Buffer.alloc(1000)],
  ] as const) {
    it(`throws DIGEST_INVALID, when the source sends ${what} twice`, async () => {
      source.content = () => Readable.from([content]);
      const error = await patiently(clock, carry()).catch((error: unknown) => error);
      expect(error).to.be.instanceOf(RegistryError).with.property('code', 'DIGEST_INVALID');
      expect(source.callsOf('readBlob')).to.have.length(2);
      expect((await target.beginBlob(hello, blob)).offset).to.equal(0);
    });
  }

  it('keeps what was received, on abort, though the source hangs', async () => {
    const stop = new AbortController();
    const reason = new Error('window closed');
    const progress = {
      found: () => undefined,
      resumed: () => undefined,
      done: () => undefined,
      received: () => stop.abort(reason),
    };
    source.content = (content) => {
      const stream = new Readable({ read: () => undefined });
      stream.push(content.subarray(0, 4));
      return stream;
    };
    const cut = transfers.carry({ source, target, repository: hello, blob, signal: stop.signal, progress });
    expect(await cut.catch((error: unknown) => error)).to.equal(reason);
    expect(target.callsOf('release')).to.have.length(1);
    source.content = (content, offset) => Readable.from([content.subarray(offset)]);
    expect(await carry()).to.equal('sent');
    expect(source.callsOf('readBlob').map((call) => call.split(' ')[2])).to.deep.equal(['0', '4']);
  });

  for (const [what, first, counts] of [
    ['goes on', bytes, { resumed: 4, received: 6 }],
    ['proves to be wrong', Buffer.from('0123wrong!'), { resumed: 0, received: 10 }],
  ] as const) {
    it(`tells apart what had crossed before and what crosses now, where it ${what}`, async () => {
      const upload = await target.beginBlob(hello, blob);
      await upload.append(Readable.from([first.subarray(0, 4)]));
      await upload.release();
      let [resumed, received] = [0, 0];
      source.content = (content, offset) =>
        Readable.from([offset === 0 ? content : Buffer.concat([first, content]).subarray(offset, first.length)]);
      const progress = {
        ...{ found: () => undefined, done: () => undefined },
        resumed: (size: number) => (resumed += size),
        received: (size: number) => (received += size),
      };
      const work = transfers.carry({ source, target, repository: hello, blob, signal: never, progress });
      expect(await patiently(clock, work)).to.equal('sent');
      expect({ resumed, received }).to.deep.equal(counts);
    });
  }

  it('sends a blob once, however many ask', async () => {
    const outcomes = await Promise.all([carry(), carry(), carry({ name: 'other' }), carry({ name: 'other' })]);
    expect(outcomes).to.deep.equal(['sent', 'sent', 'mounted', 'mounted']);
    expect(source.callsOf('readBlob')).to.have.length(1);
  });

  it('runs no more than its limit at a time', async () => {
    transfers.limit({ concurrency: 2, bytesPerSecond: 0, budgets: [] });
    let [now, most] = [0, 0];
    source.content = (content) =>
      Readable.from(
        (async function* () {
          most = Math.max(most, ++now);
          await new Promise((resolve) => setImmediate(resolve));
          yield content;
          now--;
        })(),
      );
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const content = Buffer.from(`blob ${i}`);
        await pushBlob(source, hello, content);
        const other = descriptorOf(content, 'application/octet-stream');
        await transfers.carry({ source, target, repository: hello, blob: other, signal: never });
      }),
    );
    expect(most).to.equal(2);
  });

  it('says absent and leaves no upload, when the source lacks the blob', async () => {
    const other = descriptorOf(Buffer.from('unknown'), 'application/octet-stream');
    const outcome = await transfers.carry({ source, target, repository: hello, blob: other, signal: never });
    expect(outcome).to.equal('absent');
  });

  it('needs no content, for an empty blob', async () => {
    const empty = descriptorOf(Buffer.alloc(0), 'application/octet-stream');
    expect(await transfers.carry({ source, target, repository: hello, blob: empty, signal: never })).to.equal('sent');
  });

  it(
    'frees the memory of what it has sent to the store, which a garbage collector would do late',
    withStore(async ({ store }) => {
      const pieces = Array.from({ length: 4 }, (_, index) => Buffer.alloc(64 * 1024, index));
      const large = Buffer.concat(pieces);
      await pushBlob(source, hello, large);
      source.content = () => Readable.from(pieces);
      const sent = descriptorOf(large, 'application/octet-stream');
      await transfers.carry({ source, target: store.replica, repository: hello, blob: sent, signal: never });
      expect((await store.statBlob(hello, sent.digest))?.size).to.equal(large.length);
      expect(pieces.map(({ length }) => length)).to.deep.equal([0, 0, 0, 0]);
    }),
  );
  describe('ahead of who needs it', () => {
    const ahead = { lane: 'ahead' } as const;
    /** A source that never says a word, until it is told to. */
    function silent() {
      let fail: (error: Error) => void = () => undefined;
      const asked = { count: 0 };
      const readBlob = (): Promise<never> => {
        asked.count += 1;
        return new Promise((_, reject) => (fail = reject));
      };
      return { asked, readBlob, fail: (error: Error) => fail(error) };
    }

    it('does not take a failure along to who needs it', async () => {
      const parent = silent();
      const transfer = { source: parent, target, repository: hello, blob, signal: never };
      const guess = transfers.carry(transfer, ahead).catch((error: unknown) => error);
      const needed = carry();
      await new Promise((resolve) => setImmediate(resolve));
      expect(source.callsOf('readBlob')).to.have.length(0);
      parent.fail(new ParentError('refused', 'it does not come any more'));
      expect(await guess).to.have.property('failure', 'refused');
      expect(await needed).to.equal('sent');
    });

    it('holds up nobody else, and who needs it moves it on', async () => {
      transfers.limit({ concurrency: 1, bytesPerSecond: 0, budgets: [] });
      const [stuck, other] = [silent(), Buffer.from('other')];
      const stop = new AbortController();
      const common = { target, repository: hello, signal: stop.signal };
      await pushBlob(source, hello, other);
      const stuckBlob = descriptorOf(Buffer.from('stuck'), blob.mediaType);
      const first = transfers.carry({ ...common, source: stuck, blob: stuckBlob }, ahead).catch(() => 'stopped');
      const second = transfers.carry({ ...common, source, blob: descriptorOf(other, blob.mediaType) }, ahead);
      expect(await carry()).to.equal('sent');
      expect(stuck.asked.count).to.equal(1);
      expect(await target.hasBlob(hello, descriptorOf(other, '').digest)).to.equal(false);
      await transfers.carry({ ...common, source, blob: descriptorOf(other, blob.mediaType) });
      expect(await second).to.equal('sent');
      stop.abort(new Error('enough'));
      stuck.fail(new Error('enough'));
      expect(await first).to.equal('stopped');
    });
  });

  it('tells of a blob of an image when it begins to cross the link, and lets it be found until its end', async () => {
    const told: string[] = [];
    transfers = createBlobTransfers({
      ...{ clock, log: new RecordingLog(), random: () => 1 },
      onArriving({ image }) {
        told.push(`begin ${image?.tag ?? ''}`);
        expect(transfers.findArriving(target, hello, blob.digest)).to.equal(undefined);
        return () => void told.push('end');
      },
    });
    const find = (name: string) => transfers.findArriving(target, repository(name), blob.digest);
    source.content = (content) => {
      told.push(`${String(find('plant/hello')?.size)} ${String(find('other')?.size)}`);
      return Readable.from([content]);
    };
    const transfer = { source, target, repository: hello, blob, signal: never, image: { tag: tag('v1') } };
    await transfers.carry(transfer);
    await transfers.carry(transfer);
    expect(told).to.deep.equal(['begin v1', '10 undefined', 'end']);
    expect(find('plant/hello')).to.equal(undefined);
  });

  it('counts what goes up in parts as it leaves, not as it is gathered', async () => {
    const script = ({ method }: Seen, response: ServerResponse): unknown =>
      response.writeHead({ HEAD: 404, POST: 202, PATCH: 202, PUT: 201 }[method] ?? 500, { location: '/session' }).end();
    await withParent(script, async (scene) => {
      const large = Buffer.alloc(4_000_000, 'large');
      await pushBlob(source, hello, large);
      const up = createBlobTransfers({ clock: scene.clock, log: scene.log, random: () => 1 });
      up.limit({ concurrency: 1, bytesPerSecond: 100_000, budgets: [] });
      let counted = 0;
      const work = up.carry({
        ...{ source, target: scene.parent, repository: hello, signal: never },
        blob: descriptorOf(large, 'application/octet-stream'),
        progress: {
          ...{ found: () => undefined, resumed: () => undefined, done: () => undefined },
          received: (size) => (counted += size),
        },
      });
      while (counted < 1_000_000) {
        await scene.clock.advance(100);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(counted).to.be.below(1_300_000);
      expect(await patiently(scene.clock, work)).to.equal('sent');
      expect(counted).to.equal(large.length);
    });
  });

  it('keeps within the rate over any 10 s, down and up together', async () => {
    const bytesPerSecond = 100_000;
    transfers.limit({ concurrency: 4, bytesPerSecond, budgets: [] });
    const large = Buffer.alloc(25 * bytesPerSecond, 'large');
    const [down, up] = [Buffer.concat([large, Buffer.from('down')]), Buffer.concat([large, Buffer.from('up')])];
    await pushBlob(source, hello, down);
    await pushBlob(target, hello, up);
    const passed = { down: 0, up: 0 };
    const carryOne = (from: MemoryRegistry, to: MemoryRegistry, bytes: Buffer, way: 'down' | 'up') =>
      transfers.carry({
        ...{ source: from, target: to, repository: hello, signal: never },
        blob: descriptorOf(bytes, 'application/octet-stream'),
        progress: {
          found: () => undefined,
          resumed: () => undefined,
          done: () => undefined,
          received: (size) => (passed[way] += size),
        },
      });
    const work = [carryOne(source, target, down, 'down'), carryOne(target, source, up, 'up')];
    await clock.sleeping();
    for (let run = 0; run < 4; run += 1) {
      const before = passed.down + passed.up;
      await clock.advance(10_000);
      expect((passed.down + passed.up - before) / (10 * bytesPerSecond)).to.be.within(0.95, 1.05);
    }
    expect(passed.down / passed.up).to.be.within(0.9, 1.1);
    await patiently(clock, Promise.all(work));
  });
});
