import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import { ParentError, type FeedCursor, type ParentRegistry } from '../parent/parent.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { backOffMs } from '../status/back-off.ts';

const errorBackOff = { firstMs: 1000, longestMs: 60_000 };
/** Between two questions, however fast the parent answers. */
const shortestTurnMs = 250;
/** A parent without a feed may be upgraded. */
const askAgainMs = 3_600_000;

/** Within every proxy's patience. */
const waitSeconds = 50;

/**
 * Listens at the parent until `signal`, from `since` on, and calls `onChange` when something changed there, so that
 * nobody waits for the schedule. Never rejects: without the feed, or while it fails, the schedule does the work alone.
 */
export async function followMessages(options: {
  readonly parent: Pick<ParentRegistry, 'readMessages'>;
  readonly since: FeedCursor | undefined;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly onChange: () => void;
  /** Blobs are on their way to the parent. */
  readonly onArriving: (blobs: readonly ArrivingBlob[]) => void;
  /** The parent says that this instance is not the active one. */
  readonly onRefused: () => void;
  /** The parent does not answer any more. */
  readonly onSilent: () => void;
}): Promise<void> {
  const { parent, signal, clock, log, random, onChange, onArriving, onRefused, onSilent } = options;
  let after = options.since;
  let arriving = 0;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const askedMs = clock.now().getTime();
      const answer = await parent.readMessages({ ...(after && { after }), arriving, waitSeconds, signal });
      failures = 0;
      // What changed before the first answer may have been missed.
      if (answer && (answer.messages.length > 0 || answer.expired || !after)) onChange();
      if (answer?.arriving && answer.arriving.blobs.length > 0) onArriving(answer.arriving.blobs);
      after = answer?.cursor;
      arriving = answer?.arriving?.head ?? 0;
      if (!answer) await pause(askAgainMs);
      // Changes come in crowds, and an answer that did not wait would be asked for again at once.
      else await pause(shortestTurnMs - Math.max(0, clock.now().getTime() - askedMs));
    } catch (error) {
      log.debug('The message feed of the parent failed.', { error, failures });
      if (error instanceof ParentError && error.failure === 'held') onRefused();
      if (error instanceof ParentError && error.failure === 'unreachable' && failures === 0) onSilent();
      // Nothing is missed meanwhile: the cursor stays.
      await pause(backOffMs(failures, errorBackOff, random));
      failures += 1;
    }
  }

  async function pause(milliseconds: number): Promise<void> {
    if (milliseconds > 0) await clock.wait(milliseconds, signal).catch(() => undefined);
  }
}
