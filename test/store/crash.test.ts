import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { digestOf, type Digest } from '../../modules/registry/src/oci/digest.ts';
import { parseManifest } from '../../modules/registry/src/oci/manifest.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { downloadOf } from './crash-download.ts';
import { collect } from './with-store.ts';

interface Acknowledged {
  readonly pushes: { repository: string; tag: string; digest: string; head: number }[];
  offset: number;
}

const rounds = 15;
const writer = fileURLToPath(new URL('./crash-writer.ts', import.meta.url));

describe('a store killed in the middle of pushes', () => {
  let directory: string;
  before(async () => {
    directory = await temporaryDirectory();
  });
  after(() => rm(directory, { recursive: true }));

  for (let round = 0; round < rounds; round += 1) {
    it(`has every acknowledged write and nothing incomplete, round ${round}`, async () => {
      const { pushes, offset } = await writeUntilKilled(String(round), 1 + round * 3);
      const log = new RecordingLog();
      const store = await openStore({ directory, clock: new ManualClock(), log });
      try {
        for (const push of pushes) {
          expect(await store.resolveTag(repository(push.repository), tag(push.tag))).to.equal(push.digest);
          expect(store.journal.head).to.be.at.least(push.head);
        }
        await checkEveryTag(store);
        await checkSequences(store);
        await finishDownload(store, String(round), offset);
        expect(log.lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
      } finally {
        await store.close();
      }
    });
  }

  /** Kills the writer after its `count`-th push; what it said until its end is acknowledged. */
  async function writeUntilKilled(round: string, count: number): Promise<Acknowledged> {
    const child = spawn(process.execPath, ['--import', 'tsx', writer, directory, round], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    const acknowledged: Acknowledged = { pushes: [], offset: 0 };
    for await (const line of createInterface({ input: child.stdout })) {
      const said = JSON.parse(line) as Acknowledged['pushes'][number] | { offset: number };
      if ('offset' in said) acknowledged.offset = said.offset;
      else acknowledged.pushes.push(said);
      if (acknowledged.pushes.length === count) child.kill('SIGKILL');
    }
    expect(await ended).to.deep.equal([null, 'SIGKILL']);
    return acknowledged;
  }
});

async function checkEveryTag(store: Store): Promise<void> {
  let manifests = 0;
  for await (const name of store.listRepositories()) {
    for await (const { digest } of store.listTags(name)) {
      const manifest = await store.findManifest(name, digest);
      const { blobs } = parseManifest(manifest!.bytes, manifest!.mediaType);
      for (const blob of blobs) expect(await digestOfBlob(store, name, blob.digest)).to.equal(blob.digest);
      manifests += 1;
    }
  }
  expect(manifests).to.be.greaterThan(0);
}

async function digestOfBlob(store: Store, name: RepositoryName, digest: Digest): Promise<Digest> {
  const content = await store.readBlob(name, digest);
  return digestOf(Buffer.concat((await content!.toArray()) as Buffer[]));
}

async function checkSequences(store: Store): Promise<void> {
  const changes = await collect(store.journal.readAfter(0));
  expect(changes.map(({ sequence }) => sequence)).to.deep.equal(changes.map((_, position) => position + 1));
  expect(changes).to.have.length(store.journal.head);
  expect(await store.outbox.pending()).to.deep.include({ count: (await collect(store.outbox.read())).length });
}

async function finishDownload(store: Store, round: string, offset: number): Promise<void> {
  const bytes = downloadOf(round);
  const name = repository('plant/download');
  const upload = await store.replica.beginBlob(name, { digest: digestOf(bytes), size: bytes.length });
  expect(upload.offset).to.be.at.least(offset);
  await upload.append(Readable.from([bytes.subarray(upload.offset)]));
  await upload.commit(digestOf(bytes));
  expect(await store.statBlob(name, digestOf(bytes))).to.deep.equal({ size: bytes.length });
}
