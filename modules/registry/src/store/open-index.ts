import { copyFile, link, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { digestsOnDisk } from './collect-blobs.ts';
import { makeDirectory, removeFile, syncDirectory } from './durable-files.ts';
import { damagedDirectory, indexDirectory, type Index } from './layout.ts';
import { replay } from './level-log.ts';
import { hasCode } from './storage-error.ts';

/**
 * How the index was found. `doubtful`: LevelDB dropped a part of its log, which after a power cut may be no more than
 * what was never acknowledged · `repaired`: it could not be opened before LevelDB's own repair · `renewed`: not even
 * then, and it stands beside, or it was lost; an empty one has taken its place.
 */
export type IndexCondition = 'whole' | 'doubtful' | 'repaired' | 'renewed';

export interface OpenedIndex {
  readonly index: Index;
  readonly condition: IndexCondition;
}

export interface OpenIndexOptions {
  /** The data volume. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: LevelDB at `<directory>/index`. */
  readonly index?: Index;
  /** False: a damaged index throws, and is left as it is. Default true. */
  readonly mayMendIndex?: boolean;
}

/**
 * For devices with little memory, and measured (README, "Performance"): what LevelDB keeps of its own, and how many
 * table files of 2 MB it maps at a time.
 */
const levelOptions = { cacheSize: 2 * 1024 * 1024, writeBufferSize: 2 * 1024 * 1024, maxOpenFiles: 64 };

/** LevelDB on the disk; the types of `level` are those of browsers too, which have no repair. */
const levelDb = Level as typeof Level & { repair(location: string): Promise<void> };

/**
 * Opens the index, whatever happened to it: a damaged one is repaired, or put beside for an empty one, never deleted.
 * Throws what is no damage: when another process has it open (the cause's code is LEVEL_LOCKED), a full disk, a folder
 * of another user.
 */
export async function openIndex(options: OpenIndexOptions): Promise<OpenedIndex> {
  const { directory, clock, log, index, mayMendIndex = true } = options;
  if (index) {
    await index.open();
    return { index, condition: 'whole' };
  }
  const location = indexDirectory(directory);
  try {
    const names = await namesIn(location);
    const logs = await keepLogs(directory, names);
    const isNew = !names.some((name) => isData.test(name));
    const opened = await tryOpen(location, { mayCreate: isNew });
    const replayed = await droppedFrom(location);
    for (const { name, path } of logs) {
      if (!replayed.includes(logNumber(name))) await removeFile(path);
      else await replay(opened, await readFile(path));
    }
    if (replayed.length === 0) {
      return { index: opened, condition: isNew && (await hasBlobs(directory)) ? 'renewed' : 'whole' };
    }
    log.error('the log of the index is damaged; it is kept, and what can be read of it was written again', { logs });
    return { index: opened, condition: 'doubtful' };
  } catch (error) {
    if (isLocked(error)) {
      throw new Error(`the data volume ${directory} is in use by another process`, { cause: causeOf(error) });
    }
    if (!isDamage(error)) throw error;
    if (!mayMendIndex) throw new Error('the index is damaged; only a repair can open it', { cause: causeOf(error) });
    log.error('the index cannot be opened; it is repaired', { location, error: String(causeOf(error)) });
  }
  try {
    await levelDb.repair(location);
    return { index: await tryOpen(location, { mayCreate: false }), condition: 'repaired' };
  } catch (error) {
    if (!isDamage(error)) throw error;
    const aside = `${location}.damaged-${clock.now().toISOString().replaceAll(':', '')}`;
    await rename(location, aside);
    await syncDirectory(directory);
    log.error('the index cannot be repaired; it stands beside and an empty one begins', {
      aside,
      error: String(error),
    });
    return { index: await tryOpen(location, { mayCreate: true }), condition: 'renewed' };
  }
}

/** Without `mayCreate`, LevelDB must not begin anew over files whose list it lost: it would delete them. */
async function tryOpen(location: string, { mayCreate }: { readonly mayCreate: boolean }): Promise<Index> {
  const index = new Level(location, { ...levelOptions, createIfMissing: mayCreate });
  await index.open();
  return index;
}

const isData = /^CURRENT$|^MANIFEST-|\.(?:ldb|sst|log)$/;

async function namesIn(location: string): Promise<string[]> {
  return readdir(location).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return [];
    throw error;
  });
}

const logNumber = (name: string): number => Number.parseInt(name, 10);

/** LevelDB deletes its log once it has replayed it, however little of it could be read: a second name keeps it. */
async function keepLogs(directory: string, names: readonly string[]): Promise<{ name: string; path: string }[]> {
  const logs = names.filter((name) => name.endsWith('.log')).sort();
  if (logs.length > 0) await makeDirectory(damagedDirectory(directory));
  const kept: { name: string; path: string }[] = [];
  for (const name of logs) {
    const path = join(damagedDirectory(directory), name);
    await removeFile(path);
    const log = join(indexDirectory(directory), name);
    await link(log, path).catch(() => copyFile(log, path)); // not every volume has second names
    kept.push({ name, path });
  }
  return kept;
}

/** An index that is not there, with blobs that are: it was lost. */
async function hasBlobs(directory: string): Promise<boolean> {
  for await (const digest of digestsOnDisk(directory)) return digest !== '';
  return false;
}

/** LevelDB opens over a damaged log without an error, and says only in its own one what it left out of which. */
async function droppedFrom(location: string): Promise<number[]> {
  const said = await readFile(join(location, 'LOG'), 'utf8').catch(() => '');
  if (!/: dropping \d+ bytes; /.test(said)) return [];
  return [...said.matchAll(/ Recovering log #(\d+)$/gm)].map(([, number]) => Number(number));
}

/** Lost, mixed up or overwritten files. Anything else may pass, or needs a person. */
function isDamage(error: unknown): boolean {
  const cause = causeOf(error);
  if (hasCode(cause, 'LEVEL_CORRUPTION')) return true;
  return /no such file|not a directory|file already exists|does not exist|corruption|not a sstable|bad magic|bad record/i.test(
    String(cause),
  );
}

function isLocked(error: unknown): boolean {
  return hasCode(causeOf(error), 'LEVEL_LOCKED');
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}
