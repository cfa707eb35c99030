import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { ChildReport, FeedCursor, ParentRegistry } from '../parent/parent.ts';
import type { ParentSettings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { followMessages } from './follow-messages.ts';
import { reportUpward } from './report-upward.ts';
import { connectionKey, type Wanted } from './wanted.ts';

export interface ParentLinkOptions {
  readonly connect: (parent: ParentSettings) => ParentRegistry;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** The message feed tells that something changed at the parent, or broke off: a pass will know what became of it. */
  readonly onChange: () => void;
  /** The message feed tells that blobs are on their way to the parent. */
  readonly onArriving: (blobs: readonly ArrivingBlob[]) => void;
  /** The message feed tells that this instance is not the active one. */
  readonly onRefused: () => void;
  /** How this registry is, for its parent. */
  readonly describe: (() => ChildReport) | undefined;
}

/** The connection to the parent of the moment, and the ear at its message feed. */
export interface ParentLink {
  /** The parent has answered since it was connected. */
  readonly contacted: boolean;
  /** The client of `parent`; connects where there is none yet. */
  open(parent: ParentSettings): ParentRegistry;
  /** The same; undefined while the client of another parent, or of other credentials, has not been let go. */
  openFor(parent: ParentSettings): ParentRegistry | undefined;
  noteAnswer(): void;
  /** Lets go of a parent, or of credentials, that are no longer wanted; true when there was one. */
  dropOld(wanted: Wanted | undefined): Promise<boolean>;
  /** Listens at `parent` from `since` on, where it does not yet; undefined: nobody is to be listened to now. */
  tendFeed(listen: { readonly parent: ParentSettings; readonly since: FeedCursor | undefined } | undefined): void;
  close(): Promise<void>;
}

export function createParentLink(options: ParentLinkOptions): ParentLink {
  const { connect, clock, log, random, onChange, onArriving, onRefused, describe } = options;
  let parent: { readonly registry: ParentRegistry; readonly key: string } | undefined;
  let feed: { readonly stop: AbortController; readonly ended: Promise<unknown> } | undefined;
  let contacted = false;

  function open(to: ParentSettings): ParentRegistry {
    parent ??= { registry: connect(to), key: connectionKey(to) };
    return parent.registry;
  }

  async function close(): Promise<void> {
    const old = parent?.registry;
    parent = undefined;
    feed?.stop.abort();
    await feed?.ended;
    feed = undefined;
    try {
      await old?.close();
    } catch (error) {
      log.warn('The connection to the parent did not close cleanly.', { error });
    }
  }

  return {
    get contacted() {
      return contacted;
    },
    open,
    openFor(to) {
      const registry = open(to);
      return parent?.key === connectionKey(to) ? registry : undefined;
    },
    noteAnswer() {
      contacted = true;
    },
    async dropOld(wanted) {
      if (!parent || (wanted?.parent && connectionKey(wanted.parent) === parent.key)) return false;
      contacted = false;
      await close();
      return true;
    },
    tendFeed(listen) {
      if (!listen) feed?.stop.abort();
      else if (!feed) {
        const stop = new AbortController();
        const [registry, { since }, { signal }] = [open(listen.parent), listen, stop];
        const shared = { parent: registry, signal, clock, log };
        const following = followMessages({
          ...shared,
          since,
          random,
          onChange,
          onArriving,
          onRefused,
          onSilent: onChange,
        });
        const reporting = describe && reportUpward({ ...shared, describe });
        feed = { stop, ended: Promise.all([following, reporting]) };
      }
      if (feed?.stop.signal.aborted) feed = undefined;
    },
    close,
  };
}
