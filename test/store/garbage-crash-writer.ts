/**
 * Pushes, deletes and collects without end and says, a line each, what was acknowledged. `garbage-crash.test.ts`
 * kills it in the middle. Arguments: data directory, round.
 */
import { writeSync } from 'node:fs';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import type { RepositoryName } from '../../modules/registry/src/oci/names.ts';
import { systemClock } from '../../modules/registry/src/status/clock.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { collectGarbage } from './garbage.ts';
import { contentOf } from './with-store.ts';

const [, , directory = '', round = ''] = process.argv;
const store = await openStore({ directory, clock: systemClock, log: new RecordingLog() });
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);

await Promise.all([push('a'), push('b'), collect()]);

/** Keeps the last tag of a round and lets go of the one before, whose layers come back now and then. */
async function push(writer: string): Promise<never> {
  const name = repository(`plant/${writer}`);
  for (let count = 0; ; count += 1) {
    const image = sampleImage([layerOf(count), `${round} ${writer} ${count}`]);
    const tagName = tag(`${round}-${count}`);
    await untilPushed(() => pushImage(store.local, name, image, tagName));
    say({ repository: name, tag: tagName, digest: image.manifest.digest });
    const before = await store.resolveTag(name, tag(`${round}-${count - 1}`));
    if (count > 0 && before) await store.local.deleteManifest(name, before);
    if (count % 7 === 0) await abandon(name);
    if (count % 11 === 0) await store.local.deleteBlob(name, digestOf(Buffer.from(layerOf(count + 2))));
  }
}

async function abandon(name: RepositoryName): Promise<void> {
  const upload = await store.uploads.begin(name);
  await upload.append(contentOf('abandoned'));
  await upload.release();
}

/** Each comes back after five pushes; earlier rounds do not have it. Two of five are files, the others rows. */
function layerOf(count: number): string {
  return `${round} layer ${count % 5}`.repeat(count % 5 < 2 ? 10_000 : 1);
}

/** With almost no grace period parts are collected before their manifest comes, and are sent again. */
async function untilPushed(attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== 'MANIFEST_BLOB_UNKNOWN') throw error;
    }
  }
}

async function collect(): Promise<never> {
  for (;;) {
    const freed = await collectGarbage(store, {
      untagged: { olderThanMs: 20 },
      blobsOlderThanMs: 20,
      uploadsOlderThanMs: 20,
    });
    say({ collected: freed.blobs });
  }
}
