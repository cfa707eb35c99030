import { expect } from 'chai';
import { MemoryLevel } from 'memory-level';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { openGroupCommit } from '../../modules/registry/src/store/group-commit.ts';
import { openTables } from '../../modules/registry/src/store/layout.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { codeOf, collect, withStore } from './with-store.ts';

type Batch = (operations: unknown, options: { readonly sync?: boolean }) => Promise<void>;

/** A memory-level that counts its batches, and answers the next one with `failure`. */
function countingLevel() {
  const index = new MemoryLevel() as MemoryLevel & { _batch: Batch };
  const counts = { index, batches: 0, syncs: 0, failure: undefined as Error | undefined };
  const original = index._batch.bind(index);
  index._batch = async (operations, options) => {
    counts.batches += 1;
    if (options.sync) counts.syncs += 1;
    const { failure } = counts;
    counts.failure = undefined;
    if (failure) throw failure;
    return original(operations, options);
  };
  return counts;
}

async function open() {
  const counts = countingLevel();
  const { index } = counts;
  const tables = openTables(index);
  const commit = await openGroupCommit({ index, tables, clock: new ManualClock(), log: new RecordingLog() });
  return { counts, commit, record: tables.record };
}

describe('transact()', () => {
  it('shares one batch among writers of one moment, synced when one of them asks', async () => {
    const { counts, commit, record } = await open();
    const write = (key: string, durable: boolean) =>
      commit.transact((transaction) => transaction.put(record, key, 1), { durable });
    await Promise.all(['a', 'b', 'c'].map((key) => write(key, false)));
    expect([counts.batches, counts.syncs]).to.deep.equal([1, 0]);
    await Promise.all(['d', 'e', 'f'].map((key) => write(key, key === 'e')));
    expect([counts.batches, counts.syncs]).to.deep.equal([2, 1]);
    await commit.close();
  });

  it('shows each writer the writes before it in the same batch', async () => {
    const { commit, record } = await open();
    const increment = () =>
      commit.transact((write) => {
        const next = ((write.get(record, 'n') as number | undefined) ?? 0) + 1;
        write.put(record, 'n', next);
        return next;
      });
    const results = await Promise.all(Array.from({ length: 20 }, increment));
    expect(results).to.deep.equal(results.map((_, position) => position + 1));
    expect(await record.get('n')).to.equal(20);
    await commit.transact((write) => {
      write.delete(record, 'n');
      expect(write.get(record, 'n')).to.equal(undefined);
    });
    await commit.close();
  });

  it('keeps nothing of a body that throws, and does not touch the others', async () => {
    const { commit, record } = await open();
    const failing = codeOf(
      commit.transact((write) => {
        write.put(record, 'bad', 1);
        write.count({ blobs: 1 });
        throw new RegistryError('MANIFEST_BLOB_UNKNOWN');
      }),
    );
    const other = commit.transact((write) => write.put(record, 'good', write.get(record, 'bad') ?? 'alone'));
    expect(await failing).to.equal('MANIFEST_BLOB_UNKNOWN');
    await other;
    expect(await record.get('bad')).to.equal(undefined);
    expect(await record.get('good')).to.equal('alone');
    expect(commit.totals.blobs).to.equal(0);
    await commit.close();
  });

  it('writes what was handed over before close, and refuses the rest', async () => {
    const { commit, record } = await open();
    const before = commit.transact((write) => write.put(record, 'key', 1));
    const closing = commit.close();
    expect(await codeOf(commit.transact(() => undefined))).to.equal('UNAVAILABLE');
    await Promise.all([before, closing]);
    expect(await record.get('key')).to.equal(1);
  });

  it('tells a full disk, leaves nothing half-visible and goes on without a gap', async () => {
    const counts = countingLevel();
    const [plant, v1] = [repository('plant'), tag('1')];
    const test = withStore(
      async ({ store }) => {
        await pushImage(store.local, plant, sampleImage(['x']), v1);
        const image = sampleImage([]);
        await pushImage(store.local, plant, image);
        counts.failure = Object.assign(new Error('IO error: No space left on device'), { code: 'LEVEL_IO_ERROR' });
        const second = sampleImage([], { artifactType: 'application/vnd.second' });
        expect(await codeOf(store.local.putManifest(plant, second.manifest, { tag: v1 }))).to.equal('STORAGE_FULL');
        expect(await store.findManifest(plant, second.manifest.digest)).to.equal(undefined);
        expect(store.journal.head).to.equal(2);
        await store.local.putManifest(plant, second.manifest, { tag: v1 });
        expect(await store.resolveTag(plant, v1)).to.equal(second.manifest.digest);
        expect((await collect(store.journal.readAfter(0))).map(({ sequence }) => sequence)).to.deep.equal([1, 2, 3]);
        expect(store.contents.manifests).to.equal(3);
      },
      { index: counts.index },
    );
    await test();
  });
});
