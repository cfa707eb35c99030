import { Readable } from 'node:stream';
import { expect } from 'chai';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createBlobTransfers } from '../../modules/registry/src/sync/blob-transfers.ts';
import { descriptorOf, pushBlob } from '../helpers/images.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { repository } from '../helpers/names.ts';
import { codeOf, withStore, type StoreTest } from '../store/with-store.ts';
import { cutAfter, MemoryRegistry } from './memory-registry.ts';
import { patiently } from './patiently.ts';

const hello = repository('plant/hello');
const bytes = Buffer.from('0123456789');
const blob = descriptorOf(bytes, 'application/octet-stream');

/** From a parent in memory into a real store, which takes small blobs whole. */
async function startTransfer({ store, clock }: StoreTest) {
  const source = new MemoryRegistry();
  await pushBlob(source, hello, bytes);
  const transfers = createBlobTransfers({ clock, log: new RecordingLog(), random: () => 1 });
  const received: number[] = [];
  const progress = {
    found: () => undefined,
    resumed: () => undefined,
    done: () => undefined,
    received: (size: number) => received.push(size),
  };
  const carry = (signal = new AbortController().signal) =>
    patiently(clock, transfers.carry({ source, target: store.replica, repository: hello, blob, signal, progress }));
  const offsets = (): string[] => source.callsOf('readBlob').map((call) => call.split(' ')[2]!);
  const receivedBytes = (): number => received.reduce((sum, size) => sum + size, 0);
  return { source, transfers, carry, offsets, receivedBytes };
}

describe('BlobTransfers.carry() of a small blob into a store', () => {
  it(
    'writes no upload, and makes it visible in this repository only',
    withStore(async (test) => {
      const { store, directory } = test;
      const { carry, receivedBytes } = await startTransfer(test);
      expect(await carry()).to.equal('sent');
      expect(await store.statBlob(hello, blob.digest)).to.deep.equal({ size: 10 });
      expect(await store.statBlob(repository('other'), blob.digest)).to.equal(undefined);
      expect(await readdir(join(directory, 'uploads'))).to.deep.equal([]);
      expect(receivedBytes()).to.equal(10);
    }),
  );

  it(
    'goes on at the byte where it was cut, also after a restart, and leaves nothing behind',
    withStore(async (test) => {
      const first = await startTransfer(test);
      first.source.content = cutAfter(4);
      const stop = new AbortController();
      first.source.before = (call) => {
        if (call.endsWith(' 4')) stop.abort(new Error('window closed'));
      };
      await first.carry(stop.signal).catch(() => undefined);
      expect(first.offsets()).to.deep.equal(['0', '4']);
      expect(first.receivedBytes()).to.equal(4);

      const store = await test.reopen();
      const second = await startTransfer({ ...test, store });
      expect(await second.carry()).to.equal('sent');
      expect(second.offsets()).to.deep.equal(['4']);
      expect(await readdir(join(test.directory, 'uploads'))).to.deep.equal([]);
    }),
  );

  for (const [what, content] of [
    ['other bytes', Buffer.from('abcdefghij')],
    ['too many bytes', Buffer.alloc(1000)],
  ] as const) {
    it(
      `throws DIGEST_INVALID and keeps nothing, when the source sends ${what} twice`,
      withStore(async (test) => {
        const { source, carry, offsets, receivedBytes } = await startTransfer(test);
        source.content = () => Readable.from([content]);
        expect(await codeOf(carry())).to.equal('DIGEST_INVALID');
        expect(offsets()).to.deep.equal(['0', '0']);
        expect(receivedBytes()).to.equal(0);
        expect(await test.store.holdsBlob(blob.digest)).to.equal(false);
      }),
    );
  }

  it(
    'has four times as many on their way as large ones',
    withStore(async (test) => {
      const { source, transfers } = await startTransfer(test);
      transfers.limit({ concurrency: 2, bytesPerSecond: 0, budgets: [] });
      let [now, most] = [0, 0];
      source.before = async (call) => {
        if (!call.startsWith('readBlob')) return;
        most = Math.max(most, (now += 1));
        await new Promise((resolve) => setImmediate(resolve));
        now -= 1;
      };
      const { signal } = new AbortController();
      const contents = Array.from({ length: 30 }, (_, number) => Buffer.from(`blob ${number}`));
      for (const content of contents) await pushBlob(source, hello, content);
      await Promise.all(
        contents.map((content) =>
          transfers.carry({
            ...{ source, target: test.store.replica, repository: hello, signal },
            blob: descriptorOf(content, 'application/octet-stream'),
          }),
        ),
      );
      expect(most).to.equal(8);
    }),
  );
});
