import type { FeedCursor } from '../parent/parent.ts';
import { drainOutbox } from './drain-outbox.ts';
import type { Pass } from './pass.ts';
import { pullChanges } from './pull-changes.ts';
import { pull } from './pull.ts';
import { readNews } from './read-news.ts';

export interface SyncPassOptions {
  readonly drainOnly: boolean;
  readonly onParentAnswered: () => void;
  /** Present where the parent has to be asked first whether we are the active instance. */
  readonly activate?: (signal: AbortSignal) => Promise<void>;
  readonly feed: PassFeed;
}

/** What a pass needs of the parent's message feed. */
export interface PassFeed {
  /** The parent is one of ours; known once the activation was asked for. */
  readonly isThere: () => boolean;
  /** Up to here everything is here; undefined: compare everything. */
  readonly since: FeedCursor | undefined;
  /** The parent knows nothing of `since` any more: the pass compares everything. */
  readonly onExpired: () => Promise<void>;
}

/** How far a pass got. `saw`: whether it looked at everything, at what had changed, or at nothing. */
export interface PassReach {
  readonly saw: 'everything' | 'changes' | 'nothing';
  readonly cursor: FeedCursor | undefined;
}

/**
 * One pass: is the parent there, are we active at it, what changed, carry up, bring down. Each part survives failures
 * of single repositories; throws what ends the whole pass, and the signal's reason.
 */
export async function syncPass(pass: Pass, options: SyncPassOptions): Promise<PassReach> {
  const { parent, signal } = pass;
  const { drainOnly, activate, feed } = options;
  // The feed's answer shows as well that the parent is there; nothing else is asked when nothing happened.
  const asksFeedFirst = !drainOnly && !activate && feed.isThere();
  if (!asksFeedFirst) await parent.ping({ signal });
  await activate?.(signal);
  const news = !drainOnly && feed.isThere() ? await readNews(parent, feed.since, signal) : undefined;
  pass.details.clearLink();
  options.onParentAnswered();
  if (news?.expired) await feed.onExpired();
  await drainOutbox(pass);
  if (drainOnly) return { saw: 'nothing', cursor: undefined };
  if (news?.messages) {
    await pullChanges(pass, news.messages);
  } else {
    pass.progress.startOver();
    await pull(news ? { ...pass, thorough: true } : pass);
  }
  return { saw: news?.messages ? 'changes' : 'everything', cursor: news?.cursor };
}
