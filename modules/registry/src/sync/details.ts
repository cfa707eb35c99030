import type { Clock } from '../status/clock.ts';
import type { StatusDetail } from '../status/sync-status.ts';

/**
 * Every condition this room reports. `effect`: what it makes of the connection state.
 * `event`: something that happened and is shown for the message TTL; the others go once they no longer hold.
 */
export const detailTable = {
  PARENT_UNREACHABLE: { type: 'Parent', effect: 'offline', event: false },
  PARENT_UNAUTHORIZED: { type: 'Parent', effect: 'unhealthy', event: false },
  PARENT_DENIED: { type: 'Parent', effect: 'unhealthy', event: false },
  ALREADY_ACTIVATED: { type: 'Parent', effect: 'unhealthy', event: false },
  ACTIVATION_REFUSED: { type: 'Parent', effect: 'unhealthy', event: false },
  PARENT_REFUSED: { type: 'Parent', effect: 'unhealthy', event: false },
  PARENT_BROKEN: { type: 'Parent', effect: 'unhealthy', event: false },
  PARENT_THROTTLED: { type: 'Parent', effect: 'none', event: false },
  PARENT_CATALOG_FAILED: { type: 'Parent', effect: 'unhealthy', event: false },
  PARENT_REPOSITORY_EMPTY: { type: 'Parent', effect: 'none', event: false },
  PARENT_DELETE_UNSUPPORTED: { type: 'Parent', effect: 'none', event: true },
  DISK_FULL: { type: 'Disk', effect: 'unhealthy', event: false },
  REPOSITORY_FAILED: { type: 'Sync', effect: 'unhealthy', event: false },
  PUSH_INCOMPLETE: { type: 'Sync', effect: 'none', event: true },
  TAG_CONFLICT: { type: 'Sync', effect: 'none', event: true },
  SYNC_FAILED: { type: 'Sync', effect: 'unhealthy', event: false },
} as const satisfies Record<string, { type: string; effect: 'offline' | 'unhealthy' | 'none'; event: boolean }>;

export type DetailCode = keyof typeof detailTable;

/** The conditions that hold now, one for each code and subject (a repository, a tag, or nothing). */
export interface Details {
  /** Details reported from here on belong to the pass of this correlation id. */
  beginPass(correlationId: string): void;
  report(code: DetailCode, subject: string, description: string): void;
  /** Drops events older than `eventTtlMs` and, after a pass that looked at everything, what it did not see again. */
  endPass(options: { readonly eventTtlMs: number; readonly sawEverything: boolean }): void;
  /** Drops what was known about the link to the parent as a whole (no subject), `except` what still holds. */
  clearLink(except?: DetailCode): void;
  clear(): void;
  list(): readonly (StatusDetail & { readonly code: DetailCode })[];
}

interface Entry {
  readonly subject: string;
  readonly detail: StatusDetail & { readonly code: DetailCode };
  lastPass: string;
}

export function createDetails({ clock }: { readonly clock: Clock }): Details {
  const entries = new Map<string, Entry>();
  let pass = '';

  function drop(unwanted: (entry: Entry) => boolean): void {
    for (const [key, entry] of entries) if (unwanted(entry)) entries.delete(key);
  }

  return {
    beginPass(correlationId) {
      pass = correlationId;
    },
    report(code, subject, description) {
      const key = `${code} ${subject}`;
      const known = entries.get(key);
      if (known?.detail.description === description) {
        known.lastPass = pass;
        return;
      }
      const { type } = detailTable[code];
      const detail = { type, code, description, timestamp: clock.now(), correlationId: pass };
      entries.set(key, { subject, detail, lastPass: pass });
    },
    endPass({ eventTtlMs, sawEverything }) {
      const oldest = clock.now().getTime() - eventTtlMs;
      drop(({ detail, lastPass }) =>
        detailTable[detail.code].event ? detail.timestamp.getTime() < oldest : sawEverything && lastPass !== pass,
      );
    },
    clearLink(except) {
      drop(({ detail, subject }) => subject === '' && detail.type === 'Parent' && detail.code !== except);
    },
    clear() {
      entries.clear();
    },
    list: () => [...entries.values()].map(({ detail }) => detail),
  };
}
