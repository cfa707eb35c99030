import { addAbortSignal } from 'node:stream';
import PQueue from 'p-queue';
import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { BlobUpload, ImageSource, ImageTarget } from '../oci/registry.ts';
import { ParentError } from '../parent/parent.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { backOffMs } from '../status/back-off.ts';
import { createRateLimit, type RateLimit } from './rate-limit.ts';

/** Told about blobs that really have to cross the link; what the target has already is not counted. */
export interface TransferProgress {
  found(blob: Descriptor): void;
  /** Negative when received bytes turned out to be wrong and were thrown away. */
  received(sizeBytes: number): void;
  done(blob: Descriptor): void;
}

export interface BlobTransfer {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  readonly repository: RepositoryName;
  readonly blob: Descriptor;
  readonly signal: AbortSignal;
  readonly progress?: TransferProgress | undefined;
}

/** `absent`: the source does not have it. */
export type TransferOutcome = 'present' | 'mounted' | 'sent' | 'absent';

/** All blobs on their way, whichever job asked: one limit, one rate, one transfer for each digest and target. */
export interface BlobTransfers {
  /**
   * Brings one blob into the target's repository. A cut transfer goes on at the byte where it stopped, after a
   * back-off, for as long as some tries move it on. Throws the signal's reason on abort; what was received stays
   * for the next time. Throws DIGEST_INVALID when the source sent wrong content twice.
   */
  carry(transfer: BlobTransfer): Promise<TransferOutcome>;
  limit(limits: { readonly concurrency: number; readonly bytesPerSecond: number }): void;
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
}

/** Tries in a row without a single new byte before the transfer is given up for this pass. */
const fruitlessTriesLimit = 4;
const retryBackOff = { firstMs: 1000, longestMs: 30_000 };

export function createBlobTransfers(options: BlobTransfersOptions): BlobTransfers {
  const queue = new PQueue({ concurrency: 4 });
  const rate = createRateLimit({ clock: options.clock });
  const runningByTarget = new WeakMap<ImageTarget, Map<Digest, Running>>();

  function runningOf(target: ImageTarget): Map<Digest, Running> {
    const known = runningByTarget.get(target);
    if (known) return known;
    const fresh = new Map<Digest, Running>();
    runningByTarget.set(target, fresh);
    return fresh;
  }

  return {
    async carry(transfer) {
      const { repository, signal } = transfer;
      const { digest } = transfer.blob;
      const running = runningOf(transfer.target);
      for (let other = running.get(digest); other; other = running.get(digest)) {
        try {
          const outcome = await other.done;
          if (other.repository === repository) return outcome;
        } catch (error) {
          if (other.repository === repository && !other.signal.aborted) throw error;
        }
        signal.throwIfAborted();
      }
      const done = queue.add(() => transferBlob(transfer, rate, options));
      running.set(digest, { repository, signal, done });
      try {
        return await done;
      } finally {
        running.delete(digest);
      }
    },
    limit({ concurrency, bytesPerSecond }) {
      queue.concurrency = concurrency;
      rate.setBytesPerSecond(bytesPerSecond);
    },
  };
}

async function transferBlob(
  transfer: BlobTransfer,
  rate: RateLimit,
  { clock, log, random }: BlobTransfersOptions,
): Promise<TransferOutcome> {
  const { target, repository, blob, signal, progress } = transfer;
  signal.throwIfAborted();
  if (await target.hasBlob(repository, blob.digest, { signal })) return 'present';
  progress?.found(blob);
  const meter = createMeter(progress);
  if (await target.mountBlob(repository, blob.digest, { signal })) {
    meter.standAt(blob.size);
    progress?.done(blob);
    return 'mounted';
  }
  let wrongBefore = false;
  for (let fruitless = 0; ;) {
    const before = meter.position;
    try {
      const outcome = await tryOnce(transfer, rate, meter);
      if (outcome === 'sent') progress?.done(blob);
      return outcome;
    } catch (error) {
      signal.throwIfAborted();
      const wrong = isWrongContent(error);
      if (wrong ? wrongBefore : !isWorthRetrying(error)) throw wrong ? lying(transfer, error) : error;
      wrongBefore ||= wrong;
      fruitless = meter.position > before ? 0 : fruitless + 1;
      if (fruitless >= fruitlessTriesLimit) throw error;
      log.debug('A blob transfer stopped and will go on.', { repository, digest: blob.digest, error });
      await clock.wait(backOffMs(fruitless, { ...retryBackOff, random }), signal);
    }
  }
}

async function tryOnce(transfer: BlobTransfer, rate: RateLimit, meter: Meter): Promise<'sent' | 'absent'> {
  const { source, target, repository, blob, signal } = transfer;
  const upload = await target.beginBlob(repository, blob, { signal });
  try {
    meter.standAt(upload.offset);
    if (upload.offset < blob.size) {
      const content = await source.readBlob(repository, blob.digest, { offset: upload.offset, signal });
      if (!content) {
        await upload.cancel();
        return 'absent';
      }
      // A source that hangs ends with the pass, too.
      addAbortSignal(signal, content);
      try {
        await upload.append(paced(content, { rate, meter, signal, sizeBytes: blob.size }), { signal });
      } finally {
        content.destroy();
        meter.standAt(upload.offset);
      }
      if (upload.offset < blob.size) throw new ParentError('unreachable', 'the content ended early');
    }
    await upload.commit(blob.digest);
    return 'sent';
  } catch (error) {
    await letGo(upload, isWrongContent(error));
    throw error;
  }
}

async function* paced(
  content: AsyncIterable<Uint8Array>,
  options: { rate: RateLimit; meter: Meter; signal: AbortSignal; sizeBytes: number },
): AsyncGenerator<Uint8Array> {
  const { rate, meter, signal, sizeBytes } = options;
  for await (const chunk of content) {
    if (meter.position + chunk.length > sizeBytes) throw new RegistryError('DIGEST_INVALID');
    await rate.take(chunk.length, signal);
    yield chunk;
    meter.standAt(meter.position + chunk.length);
  }
}

/** The first error is the one to tell; a failure to let go only costs bytes. */
async function letGo(upload: BlobUpload, discard: boolean): Promise<void> {
  try {
    await (discard ? upload.cancel() : upload.release());
  } catch {
    // The target forgets unfinished uploads by itself.
  }
}

interface Meter {
  readonly position: number;
  standAt(position: number): void;
}

/** Turns positions within one blob into the differences that progress adds up. */
function createMeter(progress: TransferProgress | undefined): Meter {
  let position = 0;
  return {
    get position() {
      return position;
    },
    standAt(next) {
      if (next !== position) progress?.received(next - position);
      position = next;
    },
  };
}

function isWrongContent(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'DIGEST_INVALID';
}

/** Cuts and nonsense may pass; a clear no will not, and throttling is for the whole pass to obey. */
function isWorthRetrying(error: unknown): boolean {
  if (error instanceof ParentError) return error.failure === 'unreachable' || error.failure === 'broken';
  if (error instanceof RegistryError) return error.code === 'BLOB_UPLOAD_UNKNOWN';
  return true;
}

function lying({ repository, blob }: BlobTransfer, cause: unknown): RegistryError {
  return new RegistryError('DIGEST_INVALID', {
    message: `twice the content sent for ${blob.digest} of ${repository} did not match that digest`,
    cause,
  });
}
