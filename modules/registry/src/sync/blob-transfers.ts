import PQueue from 'p-queue';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ImageTarget } from '../oci/registry.ts';
import type { TransferSettings } from '../settings/settings.ts';
import { rateAt } from '../settings/transfer-rate.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { unlessAborted } from '../status/unless-aborted.ts';
import { createArrival, type Arrival, type ArrivalRecorder } from './arrival.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';
import { transferBlob, type BlobTransfer, type TransferOutcome } from './transfer-blob.ts';

/** All blobs on their way, whichever job asked: one limit, one rate, one transfer for each digest and target. */
export interface BlobTransfers {
  /**
   * Brings one blob into the target's repository. A cut transfer goes on at the byte where it stopped, after a
   * back-off, for as long as some tries move it on. Throws the signal's reason on abort; what was received stays
   * for the next time. Throws DIGEST_INVALID when the source sent wrong content twice. An urgent one, also one that is
   * on its way already for somebody else, does not wait for its turn and goes first on the link.
   */
  carry(transfer: BlobTransfer, options?: { readonly isUrgent?: boolean }): Promise<TransferOutcome>;
  /** What arrives of the blob at `target` from now on, whoever carries it. */
  follow(target: ImageTarget, digest: Digest): Following;
  /** Takes settings into force, for what is on its way as well. */
  limit(settings: TransferSettings): void;
  /** Of the link: for what crosses it beside blobs. */
  readonly rate: RateLimit;
}

export interface Following {
  readonly arrival: Arrival;
  close(): void;
}

export interface BlobTransfersOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

interface Running {
  readonly repository: RepositoryName;
  readonly signal: AbortSignal;
  readonly done: Promise<TransferOutcome>;
  hurry(): void;
}

/** What is under way at one target. */
interface Traffic {
  readonly running: Map<Digest, Running>;
  readonly followed: Map<Digest, { readonly arrival: ArrivalRecorder; followers: number }>;
}

/** For as many clients' blobs as that; scheduled ones wait for a place among `transfer.concurrency`. */
const urgentConcurrency = 16;
/** So many small blobs go beside each large one: their time is that of the questions, not of the bytes. */
const smallInPlaceOfOne = 4;

export function createBlobTransfers(options: BlobTransfersOptions): BlobTransfers {
  const queue = new PQueue({ concurrency: 4 });
  const smallQueue = new PQueue({ concurrency: 4 * smallInPlaceOfOne });
  const urgentQueue = new PQueue({ concurrency: urgentConcurrency });
  const rate = createRateLimit({ clock: options.clock });
  const trafficByTarget = new WeakMap<ImageTarget, Traffic>();

  function trafficOf(target: ImageTarget): Traffic {
    const known = trafficByTarget.get(target);
    if (known) return known;
    const fresh = { running: new Map<Digest, Running>(), followed: new Map() };
    trafficByTarget.set(target, fresh);
    return fresh;
  }

  function follow(target: ImageTarget, digest: Digest): Following & { readonly arrival: ArrivalRecorder } {
    const { followed } = trafficOf(target);
    const entry = followed.get(digest) ?? { arrival: createArrival(), followers: 0 };
    followed.set(digest, entry);
    entry.followers += 1;
    return {
      arrival: entry.arrival,
      close() {
        entry.followers -= 1;
        if (entry.followers === 0) followed.delete(digest);
      },
    };
  }

  /** Waits in a queue for its turn, and, once it is urgent, in the other one too: the first turn counts. */
  function start(transfer: BlobTransfer, isUrgent: boolean): Running {
    const { repository, signal, target, blob } = transfer;
    const following = follow(target, blob.digest);
    const { arrival } = following;
    const urgency = { isUrgent };
    let begin = (): void => undefined;
    const turn = new Promise<void>((resolve) => (begin = resolve));
    const done = turn.then(() =>
      transferBlob(transfer, { ...options, rate, arrival, isUrgent: () => urgency.isUrgent }),
    );
    const end = (): void => following.close();
    const quiet = done.then(end, end);
    const enter = (lane: PQueue): void => {
      void lane.add(() => {
        begin();
        return quiet;
      });
    };
    enter(isUrgent ? urgentQueue : blob.size <= (target.wholeBlobs?.limitBytes ?? 0) ? smallQueue : queue);
    return {
      ...{ repository, signal, done },
      hurry() {
        if (urgency.isUrgent) return;
        urgency.isUrgent = true;
        enter(urgentQueue);
      },
    };
  }

  return {
    rate,
    async carry(transfer, { isUrgent = false } = {}) {
      const { repository, signal } = transfer;
      const { digest } = transfer.blob;
      const { running } = trafficOf(transfer.target);
      for (let other = running.get(digest); other; other = running.get(digest)) {
        if (isUrgent) other.hurry();
        try {
          const outcome = await unlessAborted(other.done, signal);
          if (other.repository === repository) return outcome;
        } catch (error) {
          if (other.repository === repository && !other.signal.aborted) throw error;
        }
        signal.throwIfAborted();
      }
      const own = start(transfer, isUrgent);
      running.set(digest, own);
      try {
        return await own.done;
      } finally {
        running.delete(digest);
      }
    },
    follow,
    limit(settings) {
      queue.concurrency = settings.concurrency;
      smallQueue.concurrency = settings.concurrency * smallInPlaceOfOne;
      rate.follow((now) => rateAt(settings, now));
    },
  };
}
