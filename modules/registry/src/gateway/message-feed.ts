/** One change at this registry, as a child hears of it. */
export interface Message {
  readonly sequence: number;
  readonly action: 'push' | 'tag' | 'untag' | 'delete';
  readonly repository: string;
  readonly digest: string;
  readonly tag?: string;
  readonly timestamp: string;
}

export interface Messages {
  /** Ask for what comes after this next time. */
  readonly head: number;
  readonly messages: readonly Message[];
}

/** What the feed needs of the journal. */
export interface FeedJournal<Repository extends string> {
  readonly head: number;
  readAfter(sequence: number): AsyncIterable<{
    readonly sequence: number;
    readonly action: Message['action'];
    readonly repository: Repository;
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
 */
export async function readMessages<Repository extends string>(
  journal: FeedJournal<Repository>,
  options: {
    readonly after: number | undefined;
    readonly sees: (repository: Repository) => boolean;
    readonly signal: AbortSignal;
  },
): Promise<Messages> {
  const { after, sees, signal } = options;
  if (after === undefined) return { head: journal.head, messages: [] };
  const messages: Message[] = [];
  // A child ahead of us has seen another journal: ours was lost and begun anew.
  let head = Math.min(after, journal.head);
  for (;;) {
    for await (const { sequence, action, repository, digest, tag, at } of journal.readAfter(head)) {
      head = sequence;
      const what = { sequence, action, repository, digest, ...(tag !== undefined && { tag }) };
      if (sees(repository)) messages.push({ ...what, timestamp: at.toISOString() });
      if (messages.length === messagesLimit) break;
    }
    if (messages.length > 0 || head < after) return { head, messages };
    try {
      await journal.advanced(head, signal);
    } catch {
      return { head, messages };
    }
  }
}
