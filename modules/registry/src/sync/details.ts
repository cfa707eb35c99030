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
  /**
   * Drops events older than `eventTtlMs`, and what a pass that came to its end did not see again; what only a compare
   * of everything can see stays until there is one.
   */
  endPass(options: { readonly eventTtlMs: number; readonly saw: 'everything' | 'changes' | 'nothing' }): void;
  /** It no longer holds. */
  forget(code: DetailCode, subject: string): void;
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
    endPass({ eventTtlMs, saw }) {
      const oldest = clock.now().getTime() - eventTtlMs;
      drop(({ detail: { code, timestamp }, lastPass }) => {
        if (detailTable[code].event) return timestamp.getTime() < oldest;
        if (lastPass === pass || saw === 'nothing') return false;
        return saw === 'everything' || code !== 'PARENT_REPOSITORY_EMPTY';
      });
    },
    forget(code, subject) {
      entries.delete(`${code} ${subject}`);
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
