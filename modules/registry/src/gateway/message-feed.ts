import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Arrivals } from './arrivals.ts';

/** One change at this registry, as a child hears of it. */
export interface Message {
  readonly sequence: number;
  readonly action: 'push' | 'tag' | 'untag' | 'delete';
  readonly repository: string;
  readonly digest: string;
  readonly tag?: string;
  readonly timestamp: string;
}

/** How far a child has heard: `head` in the journal of that id. */
export interface FeedCursor {
  readonly journal: string;
  readonly head: number;
}

export interface Messages extends FeedCursor {
  readonly messages: readonly Message[];
  /** What lies between the cursor and `head` is not known any more, or belongs to another journal: compare afresh. */
  readonly expired?: true;
  /** Ask again at once: there is more than fits one answer. */
  readonly more?: true;
  /** Hints, for a child that asked for them: what is on its way here and is in no message yet. */
  readonly arriving?: { readonly head: number; readonly blobs: readonly ArrivingBlob[] };
}

/** What the feed needs of the journal. */
export interface FeedJournal {
  readonly head: number;
  readAfter(sequence: number): AsyncIterable<{
    readonly sequence: number;
    readonly action: Message['action'];
    readonly repository: RepositoryName;
    readonly digest: string;
    readonly tag?: string;
    readonly at: Date;
  }>;
  /** Resolves once the head is beyond `sequence`; rejects with the signal's reason. */
  advanced(sequence: number, signal: AbortSignal): Promise<void>;
}

/** More follow in the next answer. */
const messagesLimit = 1000;

/**
 * The changes after `after` that the child `sees`. With none yet it waits until one comes or `signal` ends the wait,
 * and then answers with an empty list: a child that asks again at once hears of a change when it happens.
 * Without `after` it answers at once with the head alone, which is where a child begins to listen.
 * `hints`: also, and as soon as there are any, those of `arrivals` that the child sees and that began after `after`.
 */
export async function readMessages(
  journal: FeedJournal,
  options: {
    /** Born with the data volume: another one is another journal, whatever its sequences say. */
    readonly journalId: string;
    readonly after: FeedCursor | undefined;
    readonly sees: (repository: RepositoryName) => boolean;
    readonly hints?: { readonly arrivals: Arrivals; readonly after: number } | undefined;
    readonly signal: AbortSignal;
  },
): Promise<Messages> {
  const { journalId, after, sees, hints, signal } = options;
  let told = hints?.after ?? 0;
  const here = (head: number) => {
    const blobs = hints?.arrivals.after(told).filter(({ repository }) => sees(repository)) ?? [];
    told = hints?.arrivals.head ?? 0;
    return { journal: journalId, head, ...(hints && { arriving: { head: told, blobs } }) };
  };
  if (!after) return { ...here(journal.head), messages: [] };
  const expired = (): Messages => ({ ...here(journal.head), messages: [], expired: true });
  if (after.journal !== journalId || after.head > journal.head) return expired();
  const messages: Message[] = [];
  let { head } = after;
  for (;;) {
    const end = journal.head;
    for await (const { sequence, action, repository, digest, tag, at } of journal.readAfter(head)) {
      if (sequence !== head + 1) return expired();
      head = sequence;
      const what = { sequence, action, repository, digest, ...(tag !== undefined && { tag }) };
      if (sees(repository)) messages.push({ ...what, timestamp: at.toISOString() });
      if (messages.length === messagesLimit) return { ...here(head), messages, more: true };
    }
    if (head < end) return expired();
    const answer = { ...here(head), messages };
    if (messages.length > 0 || (answer.arriving && answer.arriving.blobs.length > 0)) return answer;
    try {
      await either(
        (ended) => journal.advanced(head, ended),
        hints && ((ended) => hints.arrivals.advanced(ended)),
        signal,
      );
    } catch {
      return answer;
    }
  }
}

/** Resolves with the first of the two, and ends the wait for the other; rejects when `signal` ends both. */
async function either(
  one: (signal: AbortSignal) => Promise<void>,
  other: ((signal: AbortSignal) => Promise<void>) | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (!other) return one(signal);
  const over = new AbortController();
  const ended = AbortSignal.any([signal, over.signal]);
  try {
    await Promise.race([one(ended), other(ended)]);
  } finally {
    over.abort();
  }
}
