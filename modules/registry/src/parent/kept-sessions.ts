import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { atParent } from './redirect.ts';
import type { Session } from './session.ts';

/** Where they are written down. */
export interface SessionRecords {
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
}

/** Which blob a session is for. */
export interface SessionBlob {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

export interface KeptSession extends Session {
  /** The answer that has just opened it tells that it is empty: nobody need ask. */
  readonly isFresh: boolean;
}

/**
 * Upload sessions at the parent that are not at their end. Those that hold bytes are written down, so that the next
 * connection, and the next start, go on there; writing is never waited for, and its failure costs bytes, no transfer.
 */
export interface KeptSessions {
  /** Whether `take` would find one that may hold bytes. */
  has(blob: SessionBlob): Promise<boolean>;
  /** The session of this blob; nobody else gets it until it is let go. */
  take(blob: SessionBlob): Promise<KeptSession | undefined>;
  /** Nobody could tell how far it is: it stays as it was. */
  putBack(blob: SessionBlob): void;
  /** A session in use is to be found here after a crash. */
  note(blob: SessionBlob, session: Session): void;
  /** Lets a session go to whoever takes it next. `isEmpty`: it is not worth writing down. */
  letGo(blob: SessionBlob, session: KeptSession, options: { readonly isEmpty: boolean }): void;
  /** It is at its end, here and at the parent. */
  forget(blob: SessionBlob): void;
  /** Those that nobody uses. */
  idle(): Promise<readonly { readonly blob: SessionBlob; readonly session: Session }[]>;
  /** Resolves once everything is written down. */
  written(): Promise<void>;
}

interface Entry extends KeptSession {
  readonly blob: SessionBlob;
  readonly isUsed: boolean;
  readonly isWritten: boolean;
  readonly at: Date;
}

const recordKey = 'parent-uploads';
/** Beyond it the oldest are left to expire at the parent. */
const limit = 256;
/** No registry known to us keeps a session for longer; our own and docker-registry keep it for a week. */
const keptForMs = 14 * 24 * 3_600_000;

/** Without `records` they live as long as this object. */
export function createKeptSessions(options: {
  readonly records: SessionRecords | undefined;
  readonly parent: URL;
  readonly clock: Clock;
  readonly log: Log;
}): KeptSessions {
  const { records, parent, clock, log } = options;
  const entries = new Map<string, Entry>();
  let loading: Promise<void> | undefined;
  let writing: Promise<void> | undefined;
  let isChanged = false;

  function load(): Promise<void> {
    loading ??= (async () => {
      try {
        for (const entry of rowsIn(await records?.get(recordKey))) {
          if (clock.now().getTime() - entry.at.getTime() < keptForMs) entries.set(keyOf(entry.blob), entry);
        }
      } catch (error) {
        log.warn('Which uploads to the parent are unfinished cannot be read; they begin anew.', { error });
      }
    })();
    return loading;
  }

  /** One that nobody uses, at its place at this parent. */
  function find(blob: SessionBlob): Entry | undefined {
    const entry = entries.get(keyOf(blob));
    const location = entry && !entry.isUsed ? locationAt(entry, parent) : undefined;
    return entry && location && { ...entry, location };
  }

  function set(blob: SessionBlob, session: KeptSession, how: Pick<Entry, 'isUsed' | 'isWritten'>): void {
    const { location, offset, isRelative, isFresh } = session;
    const key = keyOf(blob);
    const wasWritten = entries.get(key)?.isWritten === true;
    entries.delete(key);
    entries.set(key, { ...{ location, offset, isRelative, isFresh, blob, at: clock.now() }, ...how });
    if (entries.size > limit) drop();
    if (how.isWritten || wasWritten) write();
  }

  /** The oldest one, of those that hold nothing where there are any. */
  function drop(): void {
    const idle = [...entries].filter(([, { isUsed }]) => !isUsed);
    const [oldest] = idle.find(([, { isWritten }]) => !isWritten) ?? idle[0] ?? [];
    if (oldest !== undefined) entries.delete(oldest);
  }

  function write(): void {
    isChanged = true;
    writing ??= writeChanges();
  }

  /** One write at a time; what changes meanwhile is in the next. */
  async function writeChanges(): Promise<void> {
    while (isChanged) {
      isChanged = false;
      const rows = [...entries.values()].filter(({ isWritten }) => isWritten).map(rowOf);
      try {
        await records?.put(recordKey, rows);
      } catch (error) {
        log.warn('How far uploads to the parent are could not be written down.', { error });
      }
    }
    writing = undefined;
  }

  return {
    async has(blob) {
      await load();
      return find(blob)?.isFresh === false;
    },
    async take(blob) {
      await load();
      const entry = find(blob);
      if (entry) entries.set(keyOf(blob), { ...entry, isUsed: true });
      return entry;
    },
    putBack(blob) {
      const entry = entries.get(keyOf(blob));
      if (entry) entries.set(keyOf(blob), { ...entry, isUsed: false });
    },
    note(blob, session) {
      set(blob, { ...session, isFresh: false }, { isUsed: true, isWritten: true });
    },
    letGo(blob, session, { isEmpty }) {
      set(blob, session, { isUsed: false, isWritten: !isEmpty });
    },
    forget(blob) {
      const entry = entries.get(keyOf(blob));
      entries.delete(keyOf(blob));
      if (entry?.isWritten) write();
    },
    async idle() {
      await load();
      return [...entries.values()].flatMap(({ blob }) => {
        const session = find(blob);
        return session ? [{ blob, session }] : [];
      });
    },
    async written() {
      await writing;
    },
  };
}

function keyOf({ repository, digest }: SessionBlob): string {
  return `${repository}@${digest}`;
}

/**
 * Where a session is to be asked for at `parent`. One whose location the parent wrote without a host may be found at
 * its new address, too, if that is the same registry; any other stays with the address that gave it.
 */
function locationAt({ location, isRelative }: Session, parent: URL): URL | undefined {
  return isRelative || location.origin === parent.origin ? atParent(location.href, parent, parent) : undefined;
}

function rowOf({ blob, location, offset, isRelative, at }: Entry): Readonly<Record<string, unknown>> {
  return { ...blob, location: location.href, offset, isRelative, at: at.toISOString() };
}

/** What cannot be read is left out. */
function rowsIn(value: unknown): Entry[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((row: unknown) => {
    if (typeof row !== 'object' || row === null) return [];
    const { repository, digest, location, offset, isRelative, at } = row as Readonly<Record<string, unknown>>;
    if (typeof repository !== 'string' || typeof digest !== 'string' || typeof offset !== 'number') return [];
    if (typeof location !== 'string' || !URL.canParse(location) || typeof at !== 'string') return [];
    const blob = { repository: repository as RepositoryName, digest: digest as Digest };
    return {
      ...{ blob, location: new URL(location), offset, isRelative: isRelative === true, at: new Date(at) },
      ...{ isFresh: false, isUsed: false, isWritten: true },
    };
  });
}
