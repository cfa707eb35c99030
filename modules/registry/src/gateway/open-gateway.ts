import { randomUUID } from 'node:crypto';
import { RegistryError } from '../errors.ts';
import type { Settings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { ChildFacts } from '../status/reported-properties.ts';
import type { Log } from '../status/log.ts';
import { createArrivals, type Arrivals } from './arrivals.ts';
import { openActivationRegister, type ChildActivation, type RegisterRecords } from './activation-register.ts';
import { silentAfterMs } from './child-status.ts';
import { openLastSeen } from './last-seen.ts';
import { refuseUnfit, type ActivationRequest } from './refuse-activation.ts';

/** What this registry is to its children. */
export interface Gateway {
  /** Names the journal that children follow: another data volume has another one. */
  readonly journalId: string;
  /** What children hear of before it is in the journal. */
  readonly arrivals: Arrivals;
  /** New settings: children that are not in them any more are released and forgotten. */
  apply(settings: Pick<Settings, 'mode' | 'children'>): void;
  holder(name: string): ChildActivation | undefined;
  /** Throws ACTIVATION_REFUSED, ALREADY_ACTIVATED. */
  activate(name: string, request: ActivationRequest): Promise<ChildActivation>;
  /** As ActivationRegister's `release`. */
  release(name: string, instanceId: string | undefined): Promise<void>;
  /** A child has told how it is. */
  note(name: string, told: ToldStatus): Promise<void>;
  /** Every child in the settings, with what is known of it. */
  children(): readonly ChildFacts[];
  /** Throws ALREADY_ACTIVATED where another instance holds the name, NOT_ACTIVATED where none does. */
  refuseOthers(name: string, instanceId: string): void;
}

export type ToldStatus = Pick<ChildFacts, 'connectionState' | 'inSync' | 'lastSync' | 'outboxPending' | 'below'>;

export async function openGateway(options: {
  readonly records: RegisterRecords;
  readonly clock: Clock;
  readonly log: Log;
  /** A child has told something, or is active now. */
  readonly onChange?: () => void;
}): Promise<Gateway> {
  const { records, clock, log, onChange = () => undefined } = options;
  const told = new Map<string, ToldStatus & { readonly lastSeen: Date }>();
  const lastSeen = await openLastSeen({ records, log });
  const journalId = await readJournalId(records);
  const register = await openActivationRegister(options);
  let settings: Pick<Settings, 'mode' | 'children'> = { mode: 'ReadOnly', children: [] };

  return {
    journalId,
    arrivals: createArrivals({ clock }),
    apply(next) {
      settings = next;
      const kept = new Set(next.children.map(({ name }) => name.toLowerCase()));
      for (const key of told.keys()) if (!kept.has(key)) told.delete(key);
      void lastSeen.keepOnly(kept);
      register
        .keepOnly(next.children.map(({ name }) => name))
        .catch((error: unknown) => log.error('Children could not be released.', { error }));
    },
    holder: (name) => register.holder(name),
    async activate(name, request) {
      refuseUnfit(name, request, settings);
      const activation = await register.activate(name, request);
      onChange();
      return activation;
    },
    release: (name, instanceId) => register.release(name, instanceId),
    async note(name, status) {
      told.set(name.toLowerCase(), { ...status, lastSeen: clock.now() });
      onChange();
      await lastSeen.note(name.toLowerCase(), clock.now());
    },
    children() {
      const nowMs = clock.now().getTime();
      return settings.children.map(({ name, mode }) => {
        const holder = register.holder(name);
        const status = told.get(name.toLowerCase());
        const seen = status?.lastSeen ?? lastSeen.of(name.toLowerCase());
        const isSilent = seen && nowMs - seen.getTime() >= silentAfterMs;
        return {
          name,
          mode: holder?.mode ?? mode,
          activation: holder ? ('Active' as const) : ('Inactive' as const),
          ...(holder && { version: holder.version }),
          ...status,
          ...(seen && { lastSeen: seen }),
          // What a silent child said last is not how it is now.
          ...(isSilent && { connectionState: 'Offline' as const, inSync: false }),
        };
      });
    },
    refuseOthers(name, instanceId) {
      const holder = register.holder(name);
      if (holder?.instanceId === instanceId) return;
      throw new RegistryError(holder ? 'ALREADY_ACTIVATED' : 'NOT_ACTIVATED');
    },
  };
}

async function readJournalId(records: RegisterRecords): Promise<string> {
  const stored = await records.get('journal-id');
  if (typeof stored === 'string') return stored;
  const made = randomUUID();
  await records.put('journal-id', made);
  return made;
}
