import { access, constants, statfs } from 'node:fs/promises';
import { RegistryError } from '../errors.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { createBlobUploads } from './blob-uploads.ts';
import { createJournal, createOutbox } from './changes.ts';
import { collectGarbage } from './collect-garbage.ts';
import { deleteUnneeded } from './delete-blob.ts';
import { makeDirectory } from './durable-files.ts';
import { openGroupCommit } from './group-commit.ts';
import { createDescriptions } from './descriptions.ts';
import type { Author } from './image-changes.ts';
import { createImageReader } from './image-reader.ts';
import { createImageTarget } from './image-target.ts';
import { blobsDirectory, openTables, recordKey, uploadsDirectory, type Index } from './layout.ts';
import { createLocks, refuseAnyLocked } from './locks.ts';
import { openIndex, type OpenedIndex } from './open-index.ts';
import { removeRepository } from './remove-repository.ts';
import type { Damage, Store } from './store.ts';
import { createLinkRenewal } from './suspects.ts';
import { createTurns } from './turns.ts';
import { verifyStore } from './verify-store.ts';
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
  /** False: an index that cannot be opened throws, and is left as it is. Default true. */
  readonly mayMendIndex?: boolean;
  /** A read met something damaged, and answered that it is not here. */
  readonly onDamage?: (damage: Damage) => void;
  /** Uploads leave this much of the disk to the index, which must go on when they cannot. Default 16 MB. */
  readonly reserveBytes?: number;
}

/** No disk takes more than this in that time. */
const roomyBytes = 1024 * 1024 * 1024;
const roomyMs = 100;

/**
 * Opens the store of a data volume. It reads a few keys, however much there is.
 * Throws when another process has it open (the cause's code is LEVEL_LOCKED), and when it cannot be written.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const { directory, clock, log, carries = () => false, onDamage, reserveBytes = 16 * 1024 * 1024 } = options;
  const { index, condition } = await openVolume(options).catch((error: unknown) => {
    throw asVolumeError(error, directory);
  });
  const tables = openTables(index);
  const commit = await openGroupCommit({ index, tables, clock, log });
  const reader = createImageReader({
    ...{ directory, tables, log, onDamage },
    renewLink: createLinkRenewal({ tables, commit, clock }),
  });
  const places = createTurns();
  const uploads = createBlobUploads({ directory, tables, commit, places, ensureRoom, clock });
  const { beginBlob } = uploads;
  let measuring: Promise<number> | undefined;
  let roomyUntilMs = 0;
  const closing = new AbortController();
  const errands = new Set<Promise<unknown>>();
  const fromParent: Author = { origin: 'parent', carried: false };
  const fromClient = (): Author => ({ origin: 'local', carried: carries() });

  return {
    ...reader,
    ...createDescriptions({ tables }),
    local: {
      ...createImageTarget({ commit, reader, beginBlob, author: fromClient }),

      async deleteBlob(repository, digest) {
        await refuseAnyLocked({ tables, commit }, repository);
        return deleteUnneeded({ tables, commit }, repository, digest);
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

    collectGarbage: (asked) =>
      errand(asked, (mine) => collectGarbage({ directory, tables, commit, clock, uploads, places }, mine)),
    verify: (asked) => errand(asked, (mine) => verifyStore({ directory, index, tables, commit, clock, places }, mine)),
    condition,

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
      await Promise.allSettled(errands);
      await uploads.close();
      await commit.close();
      await index.close();
    },
  };

  /** Long work: it ends with the store. */
  async function errand<Asked extends { readonly signal: AbortSignal }, T>(
    asked: Asked,
    work: (asked: Asked) => Promise<T>,
  ): Promise<T> {
    const signal = AbortSignal.any([asked.signal, closing.signal]);
    signal.throwIfAborted();
    const working = work({ ...asked, signal });
    errands.add(working);
    try {
      return await working;
    } finally {
      errands.delete(working);
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

async function openVolume(options: OpenStoreOptions): Promise<OpenedIndex> {
  const { directory } = options;
  await makeDirectory(directory);
  // On a read-only volume mkdir says that the parent is missing.
  await access(directory, constants.W_OK);
  for (const path of [blobsDirectory(directory), uploadsDirectory(directory)]) await makeDirectory(path);
  return await openIndex(options);
}
