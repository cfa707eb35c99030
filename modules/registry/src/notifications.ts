import { eventGridEvent } from './event-grid.ts';
import {
  matchesNotification,
  parseNotification,
  type ArtifactEvent,
  type NotificationFilter,
} from './settings/notification.ts';
import type { Settings } from './settings/settings.ts';
import { backOffMs } from './status/back-off.ts';
import type { Clock } from './status/clock.ts';
import type { Log } from './status/log.ts';
import type { Change, Store } from './store/store.ts';
import type { Twin } from './twin/twin.ts';

export interface NotificationsOptions {
  readonly store: Pick<Store, 'findManifest' | 'journal' | 'records'>;
  readonly twin: Pick<Twin, 'send'>;
  readonly registryName: string;
  /** Born with the journal: makes ids unique. */
  readonly instanceId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onSent?: () => void;
}

/** Tells the cloud of pushes and deletes, from a place in the journal that survives restarts. */
export interface Notifications {
  /** The events asked for from now on. The first settings that ask for any begin with what happens after them. */
  apply(settings: Settings, options: { readonly active: boolean }): void;
  close(): Promise<void>;
}

/** The module's output; a route takes it from there. */
export const notificationOutput = 'notifications';

const recordKey = 'notifications';
const sendBackOff = { firstMs: 1_000, longestMs: 60_000 };
/** Written down at least this often; a restart tells the rest of them again. */
const changesPerRecord = 100;

/**
 * Every change that a filter asks for is sent at least once and in order, however long the hub is away, as long as
 * the journal keeps it (message TTL); what expired unsent is logged.
 */
export function startNotifications(options: NotificationsOptions): Notifications {
  const { store, twin, registryName, instanceId, clock, log, onSent } = options;
  const closing = new AbortController();
  let filters: readonly NotificationFilter[] = [];
  let applied = new AbortController();
  /** From the first settings on: until then nobody knows whether to forget the place in the journal. */
  let running: Promise<void> | undefined;

  return {
    apply({ notificationsList }, { active }) {
      const asked = notificationsList.map((text) => parseNotification(text)).filter((filter) => filter !== undefined);
      filters = active ? asked : [];
      applied.abort();
      applied = new AbortController();
      running ??= run();
    },
    async close() {
      closing.abort();
      await running;
    },
  };

  async function run(): Promise<void> {
    let failures = 0;
    while (!closing.signal.aborted) {
      const signal = AbortSignal.any([closing.signal, applied.signal]);
      try {
        await (filters.length === 0 ? asleep(signal) : follow(signal));
        failures = 0;
      } catch (error) {
        if (signal.aborted) continue;
        const waitMs = backOffMs(failures, sendBackOff);
        log[failures === 0 ? 'warn' : 'debug']('notifications wait', { error, waitMs });
        failures += 1;
        await clock.wait(waitMs, signal).catch(() => undefined);
      }
    }
  }

  /** Nobody asks: what happens meanwhile is not told later. */
  async function asleep(signal: AbortSignal): Promise<void> {
    if ((await store.records.get(recordKey)) !== undefined) await store.records.delete(recordKey);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  async function follow(signal: AbortSignal): Promise<void> {
    let told = await readCursor();
    let written = told;
    try {
      for (;;) {
        for await (const change of store.journal.readAfter(told)) {
          signal.throwIfAborted();
          if (change.sequence > told + 1) {
            log.warn('changes expired before they could be notified', { count: change.sequence - told - 1 });
          }
          await tell(change);
          told = change.sequence;
          if (told >= written + changesPerRecord) written = await writeCursor(told);
        }
        if (told > written) written = await writeCursor(told);
        await store.journal.advanced(told, signal);
      }
    } finally {
      if (told > written) await writeCursor(told);
    }
  }

  async function tell(change: Change): Promise<void> {
    const event = eventOf(change);
    if (!filters.some((filter) => matchesNotification(filter, event))) return;
    const { repository, digest, sequence, at } = change;
    const found = event.action === 'push' ? await store.findManifest(repository, digest) : undefined;
    const manifest = found && { mediaType: found.mediaType, sizeBytes: found.bytes.length };
    const id = `${instanceId}-${sequence}`;
    await twin.send(notificationOutput, eventGridEvent({ id, registryName, event, manifest, at }));
    onSent?.();
  }

  async function readCursor(): Promise<number> {
    const stored = await store.records.get(recordKey);
    return typeof stored === 'number' ? stored : await writeCursor(store.journal.head);
  }

  async function writeCursor(sequence: number): Promise<number> {
    await store.records.put(recordKey, sequence);
    return sequence;
  }
}

function eventOf({ action, repository, digest, tag }: Change): ArtifactEvent {
  if (action === 'untag') return { action: 'delete', repository, ...(tag !== undefined && { tag }) };
  return { action: action === 'delete' ? 'delete' : 'push', repository, digest, ...(tag !== undefined && { tag }) };
}
