import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sentenceOf } from '../modules/registry/src/integrity.ts';
import { systemClock } from '../modules/registry/src/status/clock.ts';
import type { Log } from '../modules/registry/src/status/log.ts';
import { openStore } from '../modules/registry/src/store/open-store.ts';
import type { VerificationProgress } from '../modules/registry/src/store/verification.ts';

export const verifyUsage = 'npm run verify -- --data ./data [--repair] [--shallow]';

export interface VerifyArguments {
  readonly data: string;
  readonly repair: boolean;
  readonly shallow: boolean;
}

/** Throws an Error with a sentence for the operator. */
export function verifyArguments(commandLine: readonly string[]): VerifyArguments {
  const { values } = parseArgs({
    args: [...commandLine],
    options: {
      data: { type: 'string' },
      repair: { type: 'boolean', default: false },
      shallow: { type: 'boolean', default: false },
    },
  });
  const { data, repair, shallow } = values;
  if (data === undefined) throw new Error('--data is required: the data volume of a stopped registry');
  return { data, repair, shallow };
}

export interface VerifyDataOptions extends VerifyArguments {
  readonly signal: AbortSignal;
  /** One line each. */
  readonly say: (line: string) => void;
  readonly onProgress: (progress: VerificationProgress) => void;
}

/**
 * Verifies the store of a stopped registry; the number of findings that are left as they were. Opening it replays
 * LevelDB's log, as a start of the registry does; without `repair` nothing else is changed, and a damaged index throws.
 * Throws an Error with a sentence for the operator where it cannot run.
 */
export async function verifyData(options: VerifyDataOptions): Promise<number> {
  const { data, repair, shallow, signal, say, onProgress } = options;
  try {
    await access(join(data, 'index'));
  } catch {
    throw new Error(`${data} is no data volume of a connected registry: it has no index`);
  }
  const store = await openStore({ directory: data, clock: systemClock, log: quietLog(say), mayMendIndex: repair });
  try {
    if (store.condition !== 'whole') say(`The index was found ${store.condition}.`);
    const seen = await store.verify({ signal, deep: !shallow, repair, onProgress });
    const { findings, first, repaired, blobs, bytes, manifests, tags, unknownFiles } = seen;
    for (const finding of first) say(`${finding.repaired ? 'repaired' : 'found'} ${sentenceOf(finding)}`);
    if (findings > first.length) say(`… and ${findings - first.length} more`);
    if (unknownFiles > 0) say(`${unknownFiles} files that nothing knows: ${repair ? 'taken in again' : 'garbage'}`);
    say(
      `${blobs} blobs (${bytes} bytes), ${manifests} manifests, ${tags} tags: ${findings} found, ${repaired} repaired`,
    );
    if (repaired > 0) say('What is missing comes again with `resync` from the parent, or with another push.');
    return findings;
  } finally {
    await store.close();
  }
}

/** What the store says of trouble, for a person. */
function quietLog(say: (line: string) => void): Log {
  const line = (message: string, fields?: object): void =>
    say(`${message}${fields ? ` ${JSON.stringify(fields)}` : ''}`);
  return { debug: () => undefined, info: () => undefined, warn: line, error: line };
}
