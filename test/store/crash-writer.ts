/**
 * Pushes without end and says, a line each, what was acknowledged. `crash.test.ts` kills it in the middle.
 * Arguments: data directory, round.
 */
import { writeSync } from 'node:fs';
import { Readable } from 'node:stream';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { downloadOf } from './crash-download.ts';

const [, , directory = '', round = ''] = process.argv;
const store = await openStore({ directory, clock: systemClock, log: new RecordingLog(), carries: () => true });
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);

await Promise.all([push('a'), push('b'), push('c'), retag(), download()]);

async function push(writer: string): Promise<never> {
  for (let count = 0; ; count += 1) {
    const image = sampleImage([`${round} ${writer} ${count}`, Buffer.alloc(70_000, `${round}${writer}${count}`)]);
    const name = tag(`${round}-${writer}-${count}`);
    await pushImage(store.local, repository(`plant/${writer}`), image, name);
    say({ repository: `plant/${writer}`, tag: name, digest: image.manifest.digest, head: store.journal.head });
  }
}

/** Moves one tag on and on, and deletes what it pointed at. */
async function retag(): Promise<never> {
  const name = repository('plant/retag');
  for (let count = 0; ; count += 1) {
    const before = await store.resolveTag(name, tag('latest'));
    await pushImage(store.local, name, sampleImage([`${round} ${count}`]), tag('latest'));
    if (before) await store.local.deleteManifest(name, before);
  }
}

async function download(): Promise<void> {
  const bytes = downloadOf(round);
  const digest = digestOf(bytes);
  for (;;) {
    const upload = await store.replica.beginBlob(repository('plant/download'), { digest, size: bytes.length });
    const next = bytes.subarray(upload.offset, Math.min(upload.offset + 30_000, bytes.length - 1));
    if (next.length === 0) return;
    await upload.append(Readable.from([next]));
    say({ offset: upload.offset });
    await upload.release();
  }
}
