import PQueue from 'p-queue';
import { RegistryError } from '../errors.ts';
import type { Mode } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { ActivationRequest } from './refuse-activation.ts';

/** The instance that is active under a child's name. */
export interface ChildActivation {
  readonly instanceId: string;
  readonly mode: Mode;
  readonly version: string;
  readonly since: Date;
}

/** Which instance of each child is active here; kept in the records, so that it survives restarts. */
export interface ActivationRegister {
  holder(name: string): ChildActivation | undefined;
  /** The holder may activate again. Throws ALREADY_ACTIVATED for any other instance. */
  activate(name: string, request: ActivationRequest): Promise<ChildActivation>;
  /**
   * Releases the name; nothing happens where nobody holds it. With `instanceId` only that instance lets go
   * (ALREADY_ACTIVATED where another holds the name); without, an operator takes it from whoever holds it.
   */
  release(name: string, instanceId: string | undefined): Promise<void>;
  /** Releases every name that is not among `names`. */
  keepOnly(names: readonly string[]): Promise<void>;
}

/** What the register needs of the store. */
export interface RegisterRecords {
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
}

interface Row {
  readonly holder?: Omit<ChildActivation, 'since'> & { readonly since: string };
  /** An operator took the name from this instance: another one shall have the chance to take it. */
  readonly banned?: { readonly instanceId: string; readonly until: string };
}

const recordKey = 'gateway-activations';
/** Longer than the longest pause between two tries of an instance that waits. */
const banMs = 5 * 60_000;

export async function openActivationRegister(options: {
  readonly records: RegisterRecords;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<ActivationRegister> {
  const { records, clock, log } = options;
  let rows = ((await records.get(recordKey)) ?? {}) as Readonly<Record<string, Row>>;
  /** One change at a time: whoever decides sees what was decided before. */
  const turns = new PQueue({ concurrency: 1 });

  /** Written first, then in force: what was answered survives a power cut. */
  async function write(next: Readonly<Record<string, Row>>): Promise<void> {
    await records.put(recordKey, next);
    rows = next;
  }

  return {
    holder: (name) => holderIn(rows[name.toLowerCase()]),

    activate: (name, request) =>
      turns.add(async () => {
        const key = name.toLowerCase();
        const now = clock.now();
        const row = rows[key];
        const holder = holderIn(row);
        if (holder && holder.instanceId !== request.instanceId) throw heldBy(name, holder);
        if (row?.banned?.instanceId === request.instanceId && now < new Date(row.banned.until)) {
          throw new RegistryError('ALREADY_ACTIVATED', {
            message: `an operator released ${name} from this instance, which may activate again after ${row.banned.until}`,
          });
        }
        const { instanceId, mode, version } = request;
        const since = holder?.since ?? now;
        if (holder?.mode !== mode || holder.version !== version) {
          await write({ ...rows, [key]: { holder: { instanceId, mode, version, since: since.toISOString() } } });
        }
        if (!holder) log.info('A child is active now.', { child: name, instance: instanceId, mode, version });
        return { instanceId, mode, version, since };
      }),

    release: (name, instanceId) =>
      turns.add(async () => {
        const key = name.toLowerCase();
        const holder = holderIn(rows[key]);
        if (!holder) return;
        if (instanceId !== undefined && holder.instanceId !== instanceId) throw heldBy(name, holder);
        const until = new Date(clock.now().getTime() + banMs).toISOString();
        const banned = instanceId === undefined ? { banned: { instanceId: holder.instanceId, until } } : {};
        await write({ ...rows, [key]: banned });
        log.info('A child was released.', { child: name, instance: holder.instanceId });
      }),

    keepOnly: (names) =>
      turns.add(async () => {
        const kept = new Set(names.map((name) => name.toLowerCase()));
        const gone = Object.keys(rows).filter((key) => !kept.has(key));
        if (gone.length === 0) return;
        await write(Object.fromEntries(Object.entries(rows).filter(([key]) => kept.has(key))));
        log.info('Children that are no longer in the settings were released.', { children: gone });
      }),
  };
}

function holderIn(row: Row | undefined): ChildActivation | undefined {
  return row?.holder && { ...row.holder, since: new Date(row.holder.since) };
}

/** Says what an operator needs to decide: a second deployment, or one whose data volume was lost. */
function heldBy(name: string, { instanceId, version, since }: ChildActivation): RegistryError {
  return new RegistryError('ALREADY_ACTIVATED', {
    message:
      `${name} is active as instance ${instanceId} (version ${version}) since ${since.toISOString()}; ` +
      `set activation.status of that instance to Inactive, or, if its data volume is lost, release it at its parent: ` +
      `DELETE /acr/gateway/${name}/activation`,
    detail: { instanceId, since: since.toISOString() },
  });
}
