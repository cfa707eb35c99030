import { randomUUID } from 'node:crypto';
import type { Clock } from './status/clock.ts';
import type { Log } from './status/log.ts';
import type { VerificationFacts } from './status/reported-properties.ts';
import type { StatusDetail } from './status/sync-status.ts';
import type { Damage, Store } from './store/store.ts';
import type { Finding, Verification, VerificationProgress } from './store/verification.ts';

export interface Integrity {
  /** Begins a verification; undefined: one runs already. */
  verify(asked: { readonly deep: boolean; readonly repair: boolean }): Promise<Verification> | undefined;
  /** Of the one that runs. */
  readonly progress: VerificationProgress | undefined;
  /** The last that came to its end, over restarts. */
  readonly last: VerificationFacts | undefined;
  /** A read met something damaged. With a parent that leads to a repair, without one it waits for an operator. */
  noteDamage(damage: Damage): void;
  /** What the parent has is here again: looks whether all is well now. */
  recovered(): void;
  details(): readonly StatusDetail[];
  /** Stops a verification, and waits for that. One that was to repair begins again with the next start. */
  close(): Promise<void>;
}

export interface IntegrityOptions {
  readonly store: Pick<Store, 'verify' | 'condition' | 'records'>;
  readonly hasParent: () => boolean;
  /** Fetches from the parent what is lost here. */
  readonly recover: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: () => void;
  /** Called after each verification with the number of findings; undefined: it failed. */
  readonly onEnd: (findings: number | undefined) => void;
}

/** Conditions this file reports. */
export const integrityDetailTable = {
  STORE_DAMAGED: { type: 'Store' },
} as const satisfies Record<string, { type: string }>;

/** What outlives a restart. */
interface Memory {
  readonly last?: Omit<VerificationFacts, 'end'> & { readonly end: string };
  readonly damage?: { readonly description: string; readonly since: string };
  /** Begun for a damage and not ended. */
  readonly repairDue?: boolean;
}

const recordKey = 'integrity';

/** What was found at the start, in words; `doubtful` says something only once the verification does. */
const conditions = {
  whole: undefined,
  doubtful: undefined,
  repaired: 'the index was damaged and was repaired; a part of it may be lost',
  renewed:
    'the index was lost or damaged beyond repair and an empty one began; a damaged one stands beside it in the data volume',
} as const satisfies Record<Store['condition'], string | undefined>;

/** Watches over what is stored: verifies on call, and by itself after a damaged start or a damaged read. */
export async function startIntegrity(options: IntegrityOptions): Promise<Integrity> {
  const { store, hasParent, recover, clock, log, onChange, onEnd } = options;
  const closing = new AbortController();
  const correlationId = randomUUID();
  const lost = conditions[store.condition];
  let memory = ((await store.records.get(recordKey)) ?? {}) as Memory;
  let progress: VerificationProgress | undefined;
  let running: Promise<Verification> | undefined;

  if (store.condition !== 'whole') await remember({ repairDue: true, ...(lost !== undefined && damageOf(lost)) });
  // What LevelDB left out of its log says nothing against files.
  if (memory.repairDue) byItself({ deep: lost !== undefined, repair: true });

  return {
    verify: (asked) => begin(asked),
    get progress() {
      return progress;
    },
    get last() {
      return memory.last && { ...memory.last, end: new Date(memory.last.end) };
    },

    noteDamage({ repository, digest, problem }) {
      if (memory.damage || running) return;
      const willRepair = hasParent();
      const cure = willRepair ? 'it is being repaired' : 'call the direct method verify with "repair": true';
      remember({ ...damageOf(`${repository}@${digest}: ${problem}; ${cure}`), repairDue: willRepair }).catch(told);
      if (willRepair) byItself({ deep: false, repair: true });
    },

    recovered: () => byItself({ deep: false, repair: false }),

    details: () =>
      memory.damage
        ? [
            {
              ...{ code: 'STORE_DAMAGED', ...integrityDetailTable.STORE_DAMAGED, correlationId },
              ...{ description: memory.damage.description, timestamp: new Date(memory.damage.since) },
            },
          ]
        : [],

    async close() {
      closing.abort(new Error('closing'));
      await running?.catch(() => undefined);
    },
  };

  /** Nobody waits for it; what it finds is told by status details, and a failure by the log. */
  function byItself(asked: { readonly deep: boolean; readonly repair: boolean }): void {
    begin(asked)?.catch(() => undefined);
  }

  function begin(asked: { readonly deep: boolean; readonly repair: boolean }): Promise<Verification> | undefined {
    if (running || closing.signal.aborted) return undefined;
    running = run(asked).finally(() => (running = progress = undefined));
    return running;
  }

  async function run({ deep, repair }: { readonly deep: boolean; readonly repair: boolean }): Promise<Verification> {
    progress = { blobs: 0, blobsTotal: 0, bytes: 0, bytesTotal: 0, findings: 0 };
    const wasDue = memory.repairDue === true;
    try {
      log.info('verification of the store begins', { deep, repair });
      const seen = await store.verify({
        ...{ deep, repair, signal: closing.signal },
        onProgress: (now) => void (progress = now),
      });
      await conclude(seen, { repair, wasDue });
      return seen;
    } catch (error) {
      if (closing.signal.aborted) throw error;
      log.error('the store could not be verified', { error });
      onEnd(undefined);
      throw error;
    }
  }

  async function conclude(seen: Verification, { repair, wasDue }: { repair: boolean; wasDue: boolean }): Promise<void> {
    const { blobs, bytes, findings, repaired, first } = seen;
    for (const finding of first) log.error('found in the store', { ...finding });
    log[findings > 0 ? 'error' : 'info']('the store is verified', { blobs, bytes, findings, repaired });
    /** The first look after the index was lost says only that nothing contradicts itself. */
    const stays = wasDue && lost !== undefined;
    const description = findings > 0 ? descriptionOf(seen, { repair, hasParent: hasParent() }) : undefined;
    const damage = [stays ? lost : undefined, description].filter((text) => text !== undefined);
    const due = memory.repairDue === true && !repair;
    memory = {};
    await remember({
      last: { end: clock.now().toISOString(), blobs, bytes, findings, repaired },
      ...(due && { repairDue: due }),
      ...(damage.length > 0 && damageOf(damage.join('; '))),
    });
    if (repair && damage.length > 0) await recover();
    onEnd(findings);
  }

  function damageOf(description: string): Pick<Memory, 'damage'> {
    return { damage: { description, since: clock.now().toISOString() } };
  }

  async function remember(news: Memory): Promise<void> {
    memory = { ...memory, ...news };
    onChange();
    await store.records.put(recordKey, memory);
  }

  function told(error: unknown): void {
    log.error('what is known of damage could not be written down', { error });
  }
}

/** For the person at the site: how much, an example, and what to do. */
function descriptionOf(
  { findings, repaired, first: [example] }: Verification,
  { repair, hasParent }: { readonly repair: boolean; readonly hasParent: boolean },
): string {
  const what = `${findings} found, the first: ${example ? sentenceOf(example) : ''}`;
  if (!repair) return `${what}; call the direct method verify with "repair": true`;
  const rest = hasParent ? 'what the parent has is fetched again' : 'push again what is missing';
  return `${what}; ${repaired} repaired or put out of sight; ${rest}`;
}

/** `plant@sha256:…: its file is missing` */
export function sentenceOf({ kind, repository, digest, tag, problem }: Finding): string {
  const where = `${repository ?? ''}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
  return `${kind}${where === '' ? '' : ` ${where}`}: ${problem}`;
}
