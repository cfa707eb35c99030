import PQueue from 'p-queue';
import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ImageTarget } from '../oci/registry.ts';
import type { TransferSettings } from '../settings/settings.ts';
import { rateAt } from '../settings/transfer-rate.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { unlessAborted } from '../status/unless-aborted.ts';
import type { Fetch } from './arriving-blob.ts';
import { createArrival, type Arrival, type ArrivalRecorder } from './arrival.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';
import { transferBlob, type BlobTransfer, type TransferOutcome } from './transfer-blob.ts';

/** Why a blob is carried: nobody asked for it yet · a pass does · a client waits for it. In the order of their weight. */
const lanes = ['ahead', 'scheduled', 'urgent'] as const;
export type Lane = (typeof lanes)[number];

/** All blobs on their way, whichever job asked: one limit, one rate, one transfer for each digest and target. */
export interface BlobTransfers {
  /**
   * Brings one blob into the target's repository. A cut transfer goes on at the byte where it stopped, after a
   * back-off, for as long as some tries move it on. Throws the signal's reason on abort; what was received stays
   * for the next time. Throws DIGEST_INVALID when the source sent wrong content twice. An urgent one goes first on the
   * link. Each lane (`scheduled` when absent) has places of its own, so that a slow one holds up nobody who is in more
   * of a hurry; who asks for what is on its way already in a lesser lane takes it over into his.
   */
  carry(transfer: BlobTransfer, options?: { readonly lane?: Lane }): Promise<TransferOutcome>;
  /** What arrives of the blob at `target` from now on, whoever carries it. */
  follow(target: ImageTarget, digest: Digest): Following;
  /** A blob of `repository` that is on its way and was told by `onArriving`: to be read while it arrives. */
  findArriving(target: ImageTarget, repository: RepositoryName, digest: Digest): Fetch | undefined;
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
  /** A blob begins to cross the link; the result is called at its end. Undefined: it is nobody's business. */
  readonly onArriving?: ((transfer: BlobTransfer) => (() => void) | undefined) | undefined;
}

interface Running extends Fetch {
  readonly repository: RepositoryName;
  readonly signal: AbortSignal;
  readonly done: Promise<TransferOutcome>;
  /** Began on a hint: who needs the blob does not fail with it. */
  readonly isGuess: boolean;
  readonly isTold: boolean;
  raise(lane: Lane): void;
}

/** What is under way at one target. */
interface Traffic {
  readonly running: Map<Digest, Running>;
  readonly followed: Map<Digest, { readonly arrival: ArrivalRecorder; followers: number }>;
}

/** For as many clients' blobs as that; the others wait for a place among `transfer.concurrency`. */
const urgentConcurrency = 16;
/** So many small blobs go beside each large one: their time is that of the questions, not of the bytes. */
const smallInPlaceOfOne = 4;
/** And so many where they come together in one answer. */
const togetherInPlaceOfOne = 32;

export function createBlobTransfers(options: BlobTransfersOptions): BlobTransfers {
  const queues: Readonly<Record<Lane | 'small' | 'together', PQueue>> = {
    ahead: new PQueue({ concurrency: 4 }),
    scheduled: new PQueue({ concurrency: 4 }),
    small: new PQueue({ concurrency: 4 * smallInPlaceOfOne }),
    together: new PQueue({ concurrency: 4 * togetherInPlaceOfOne }),
    urgent: new PQueue({ concurrency: urgentConcurrency }),
  };
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

  /** Waits in the queue of its lane for its turn and, once it is raised, in that of the other too: the first turn counts. */
  function start(transfer: BlobTransfer, asked: Lane): Running {
    const { repository, signal, target, blob } = transfer;
    const following = follow(target, blob.digest);
    const { arrival } = following;
    let lane = asked;
    let outcome: Fetch['outcome'] = 'under way';
    let onEnd: (() => void) | undefined;
    let begin = (): void => undefined;
    const turn = new Promise<void>((resolve) => (begin = resolve));
    const onFound = (): void => void (onEnd = options.onArriving?.(transfer));
    const isUrgent = (): boolean => lane === 'urgent';
    const done = turn.then(() => transferBlob(transfer, { ...options, rate, arrival, isUrgent, onFound }));
    const quiet = done
      .then(
        (result) => (outcome = result === 'absent' ? new RegistryError('BLOB_UNKNOWN') : 'here'),
        (error: unknown) => (outcome = error instanceof Error ? error : new Error(String(error))),
      )
      .then(() => {
        onEnd?.();
        arrival.wake();
        following.close();
      });
    const enter = (): void => {
      const isSmall = lane === 'scheduled' && blob.size <= (target.wholeBlobs?.limitBytes ?? 0);
      const small = transfer.source.readSmallBlob ? 'together' : 'small';
      void queues[isSmall ? small : lane].add(() => {
        begin();
        return quiet;
      });
    };
    enter();
    return {
      ...{ repository, signal, done, arrival, size: blob.size, isGuess: asked === 'ahead' },
      get outcome() {
        return outcome;
      },
      get isTold() {
        return onEnd !== undefined;
      },
      raise(to) {
        if (lanes.indexOf(to) <= lanes.indexOf(lane)) return;
        lane = to;
        enter();
      },
    };
  }

  return {
    rate,
    async carry(transfer, { lane = 'scheduled' } = {}) {
      const { repository, signal } = transfer;
      const { digest } = transfer.blob;
      const { running } = trafficOf(transfer.target);
      for (let other = running.get(digest); other; other = running.get(digest)) {
        other.raise(lane);
        try {
          const outcome = await unlessAborted(other.done, signal);
          if (other.repository === repository) return outcome;
        } catch (error) {
          if (other.repository === repository && !other.signal.aborted && !other.isGuess) throw error;
        }
        signal.throwIfAborted();
      }
      const own = start(transfer, lane);
      running.set(digest, own);
      try {
        return await own.done;
      } finally {
        running.delete(digest);
      }
    },
    follow,
    findArriving(target, repository, digest) {
      const found = trafficOf(target).running.get(digest);
      return found?.isTold === true && found.repository === repository ? found : undefined;
    },
    limit(settings) {
      queues.ahead.concurrency = settings.concurrency;
      queues.scheduled.concurrency = settings.concurrency;
      queues.small.concurrency = settings.concurrency * smallInPlaceOfOne;
      queues.together.concurrency = settings.concurrency * togetherInPlaceOfOne;
      rate.follow((now) => rateAt(settings, now));
    },
  };
}
