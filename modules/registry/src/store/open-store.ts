import { access, constants, statfs } from 'node:fs/promises';
import { Level } from 'level';
import { RegistryError } from '../errors.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { unlinkBlob } from './blob-links.ts';
import { createBlobUploads } from './blob-uploads.ts';
import { createJournal, createOutbox } from './changes.ts';
import { collectGarbage } from './collect-garbage.ts';
import { makeDirectory } from './durable-files.ts';
import { openGroupCommit } from './group-commit.ts';
import { createDescriptions } from './descriptions.ts';
import type { Author } from './image-changes.ts';
import { createImageReader } from './image-reader.ts';
import { createImageTarget } from './image-target.ts';
import { blobsDirectory, indexDirectory, openTables, recordKey, uploadsDirectory, type Index } from './layout.ts';
import { createLocks, refuseAnyLocked } from './locks.ts';
import { removeRepository } from './remove-repository.ts';
import { hasCode } from './storage-error.ts';
import type { Collected, CollectGarbage, Store } from './store.ts';
import { createLinkRenewal } from './suspects.ts';
import { createTurns } from './turns.ts';
import { asVolumeError } from './volume-error.ts';

export interface OpenStoreOptions {
  /** The data volume; created where it is missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: LevelDB at `<directory>/index`. */
  readonly index?: Index;
  /** Whether local changes are to be carried to a parent; asked at each change. Default: never. */
  readonly carries?: () => boolean;
  /** Uploads leave this much of the disk to the index, which must go on when they cannot. Default 16 MB. */
  readonly reserveBytes?: number;
}

/** No disk takes more than this in that time. */
const roomyBytes = 1024 * 1024 * 1024;
const roomyMs = 100;

/**
 * For devices with little memory, and measured (README, "Performance"): what LevelDB keeps of its own, and how many
 * table files of 2 MB it maps at a time.
 */
const levelOptions = { cacheSize: 2 * 1024 * 1024, writeBufferSize: 2 * 1024 * 1024, maxOpenFiles: 64 };

/**
 * Opens the store of a data volume. It reads a few keys, however much there is.
 * Throws when another process has it open (the cause's code is LEVEL_LOCKED), and when it cannot be written.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { directory, clock, log, carries = () => false, reserveBytes = 16 * 1024 * 1024 } = options;
  const index = await openVolume(options).catch((error: unknown) => {
    throw asVolumeError(error, directory);
  });
  const tables = openTables(index);
  const commit = await openGroupCommit({ index, tables, clock, log });
  const reader = createImageReader({
    ...{ directory, tables, log },
    renewLink: createLinkRenewal({ tables, commit, clock }),
  });
  const places = createTurns();
  const uploads = createBlobUploads({ directory, tables, commit, places, ensureRoom, clock });
  const { beginBlob } = uploads;
  let measuring: Promise<number> | undefined;
  let roomyUntilMs = 0;
  const closing = new AbortController();
  const collections = new Set<Promise<unknown>>();
  const fromParent: Author = { origin: 'parent', carried: false };
  const fromClient = (): Author => ({ origin: 'local', carried: carries() });

  return {
    ...reader,
    ...createDescriptions({ tables }),
    local: {
      ...createImageTarget({ commit, reader, beginBlob, author: fromClient }),

      async deleteBlob(repository, digest) {
        await refuseAnyLocked({ tables, commit }, repository);
        return commit.transact((write) => unlinkBlob(write, repository, digest));
      },

      async deleteRepository(repository) {
        await refuseAnyLocked({ tables, commit }, repository);
        return removeRepository({ tables, commit }, repository, fromClient());
      },
    },
    replica: createImageTarget({ commit, reader, beginBlob, author: () => fromParent }),
    uploads: uploads.sessions,
    journal: createJournal({ tables, commit, log }),
    outbox: createOutbox({ tables, commit, log }),
    locks: createLocks({ tables, commit }),

    records: {
      get: (key) => tables.record.get(recordKey('fact', key)),
      put: (key, value) => commit.transact((write) => write.put(tables.record, recordKey('fact', key), value)),
      delete: (key) => commit.transact((write) => write.delete(tables.record, recordKey('fact', key))),
    },

    async deleteRepository(repository) {
      return (await removeRepository({ tables, commit }, repository, fromParent)) !== undefined;
    },

    collectGarbage: collect,

    get generation() {
      return commit.generation;
    },
    get contents() {
      const { usedBytes, blobs, manifests, repositories } = commit.totals;
      return { usedBytes, blobs, manifests, repositories };
    },
    freeBytes,

    async close() {
      closing.abort(new RegistryError('UNAVAILABLE', { message: 'the store is closed' }));
      await Promise.allSettled(collections);
      await uploads.close();
      await commit.close();
      await index.close();
    },
  };

  async function collect(asked: CollectGarbage): Promise<Collected> {
    const signal = AbortSignal.any([asked.signal, closing.signal]);
    signal.throwIfAborted();
    const collection = collectGarbage({ directory, tables, commit, clock, uploads, places }, { ...asked, signal });
    collections.add(collection);
    try {
      return await collection;
    } finally {
      collections.delete(collection);
    }
  }

  async function freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  }

  /** Asked once for all who ask at the same time, and not again at once while there is far more than could be filled. */
  async function ensureRoom(): Promise<void> {
    if (performance.now() < roomyUntilMs) return;
    measuring ??= freeBytes().finally(() => (measuring = undefined));
    const free = await measuring;
    if (free < reserveBytes) throw new RegistryError('STORAGE_FULL');
    if (free - reserveBytes > roomyBytes) roomyUntilMs = performance.now() + roomyMs;
  }
}

async function openVolume({ directory, index }: OpenStoreOptions): Promise<Index> {
  await makeDirectory(directory);
  // On a read-only volume mkdir says that the parent is missing.
  await access(directory, constants.W_OK);
  for (const path of [blobsDirectory(directory), uploadsDirectory(directory)]) await makeDirectory(path);
  const opened = index ?? new Level(indexDirectory(directory), levelOptions);
  await openIndex(opened, directory);
  return opened;
}

async function openIndex(index: Index, directory: string): Promise<void> {
  try {
    await index.open();
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (!hasCode(cause, 'LEVEL_LOCKED')) throw error;
    throw new Error(`the data volume ${directory} is in use by another process`, { cause });
  }
}
