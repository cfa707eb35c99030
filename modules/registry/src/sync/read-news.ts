import type { FeedCursor, ParentMessage, ParentRegistry } from '../parent/parent.ts';

/** What a pass has to look at. */
export interface News {
  /** Everything up to here is worked off once the pass has succeeded; undefined: the parent has no feed. */
  readonly cursor: FeedCursor | undefined;
  /** Undefined: nobody knows what changed, so everything has to be compared. */
  readonly messages: readonly ParentMessage[] | undefined;
  /** There was a cursor, and the parent knows nothing of it any more. */
  readonly expired: boolean;
}

/** So many messages cost more, one by one, than a compare of everything. */
const messagesLimit = 20_000;

/** Reads the feed from `since` to its end, without waiting: one request when nothing happened. Throws ParentError. */
export async function readNews(
  parent: Pick<ParentRegistry, 'readMessages'>,
  since: FeedCursor | undefined,
  signal: AbortSignal,
): Promise<News> {
  const messages: ParentMessage[] = [];
  let after = since;
  for (;;) {
    const answer = await parent.readMessages({ ...(after && { after }), signal });
    if (!answer) return { cursor: undefined, messages: undefined, expired: false };
    const { cursor, expired, more } = answer;
    if (expired || !after) return { cursor, messages: undefined, expired };
    messages.push(...answer.messages);
    if (!more) return { cursor, messages, expired: false };
    if (messages.length >= messagesLimit) {
      const begin = await parent.readMessages({ signal });
      return { cursor: begin?.cursor, messages: undefined, expired: false };
    }
    after = cursor;
  }
}
