import { mkdir } from 'node:fs/promises';
import { Level } from 'level';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { parseManifest } from '../../modules/registry/src/oci/manifest.ts';
import { parseRepositoryName, parseTag } from '../../modules/registry/src/oci/names.ts';
import type { StoredManifest } from '../../modules/registry/src/oci/registry.ts';
import { systemClock, type Clock } from '../../modules/registry/src/status/clock.ts';
import { linkBlob } from '../../modules/registry/src/store/blob-links.ts';
import { openGroupCommit } from '../../modules/registry/src/store/group-commit.ts';
import { putManifest } from '../../modules/registry/src/store/image-changes.ts';
import { indexDirectory, openTables } from '../../modules/registry/src/store/layout.ts';
import { descriptorOf } from '../helpers/images.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

const atOnce = 2000;
const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const author = { origin: 'parent', carried: false } as const;

export const configBytes = Buffer.from('{}');
const config = descriptorOf(configBytes, 'application/vnd.oci.image.config.v1+json');

/** An image of nothing but its config. */
export function manifestAt(name: string, number: number): StoredManifest {
  const annotations = { 'org.opencontainers.image.version': `${name} ${number}` };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [], annotations }));
  return { digest: digestOf(bytes), mediaType, bytes };
}

/**
 * A data volume of ours whose repositories hold so many tagged images each, all of one blob. Written by the store's
 * own transactions, thousands of images in each, at the time that the clock shows.
 */
export async function fillStore(
  directory: string,
  contents: Iterable<readonly [string, number]>,
  clock: Clock = systemClock,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const index = new Level(indexDirectory(directory));
  await index.open();
  const commit = await openGroupCommit({
    index,
    tables: openTables(index),
    clock,
    log: new RecordingLog(),
  });
  let waiting: (readonly [string, number])[] = [];
  try {
    for (const [name, count] of contents) {
      for (let number = 0; number < count; number += 1) {
        waiting.push([name, number]);
        if (waiting.length === atOnce) await write();
      }
    }
    await write();
  } finally {
    await commit.close();
    await index.close();
  }

  async function write(): Promise<void> {
    const images = waiting;
    waiting = [];
    await commit.transact((transaction) => {
      for (const [name, number] of images) {
        const repository = parseRepositoryName(name)!;
        const manifest = manifestAt(name, number);
        if (number === 0) {
          transaction.put(transaction.tables.blob, config.digest, { sizeBytes: 2, added: new Date().toISOString() });
          transaction.put(transaction.tables.content, config.digest, configBytes);
          linkBlob(transaction, repository, config.digest, 2);
        }
        putManifest(transaction, repository, manifest, parseManifest(manifest.bytes, mediaType), {
          author,
          tag: parseTag(tagAt(number))!,
        });
      }
    });
  }
}

export function tagAt(number: number): string {
  return `v${String(number).padStart(7, '0')}`;
}

export function repositoryAt(number: number): string {
  return `area${String(Math.floor(number / 100)).padStart(3, '0')}/image${String(number).padStart(6, '0')}`;
}
