import type { ParentRegistry } from '../parent/parent.ts';
import { isContinuous } from '../settings/schedule.ts';
import type { ParentSettings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { followMessages } from './follow-messages.ts';
import { connectionKey, type Wanted } from './wanted.ts';

export interface ParentLinkOptions {
  readonly connect: (parent: ParentSettings) => ParentRegistry;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** The message feed tells that something changed at the parent. */
  readonly onChange: () => void;
}

/** The connection to the parent of the moment, and the ear at its message feed. */
export interface ParentLink {
  /** The parent has answered since it was connected. */
  readonly contacted: boolean;
  /** The client of `parent`; connects where there is none yet. */
  open(parent: ParentSettings): ParentRegistry;
  noteAnswer(): void;
  /** Lets go of a parent, or of credentials, that are no longer wanted; true when there was one. */
  dropOld(wanted: Wanted | undefined): Promise<boolean>;
  /** Listens while the link may be used at any time; with windows, the schedule does the work alone. */
  tendFeed(wanted: Wanted | undefined): void;
  close(): Promise<void>;
}

export function createParentLink(options: ParentLinkOptions): ParentLink {
  const { connect, clock, log, random, onChange } = options;
  let parent: { readonly registry: ParentRegistry; readonly key: string } | undefined;
  let feed: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
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
    noteAnswer() {
      contacted = true;
    },
    async dropOld(wanted) {
      if (!parent || (wanted?.parent && connectionKey(wanted.parent) === parent.key)) return false;
      contacted = false;
      await close();
      return true;
    },
    tendFeed(wanted) {
      const to = wanted?.active === true ? wanted.parent : undefined;
      if (!to || !isContinuous(to.syncProperties.schedule)) feed?.stop.abort();
      else if (!feed) {
        // Also after a restart with nothing due: changes must not wait for the next run.
        const stop = new AbortController();
        const { signal } = stop;
        feed = { stop, ended: followMessages({ parent: open(to), signal, clock, log, random, onChange }) };
      }
      if (feed?.stop.signal.aborted) feed = undefined;
    },
    close,
  };
}
