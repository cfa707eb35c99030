import { addAbortSignal } from 'node:stream';
import { RegistryError } from '../errors.ts';
import type { Descriptor, Platform } from '../oci/manifest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { BlobUpload, ImageSource, ImageTarget, Pace } from '../oci/registry.ts';
import { ParentError } from '../parent/parent.ts';
import { backOffMs } from '../status/back-off.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { ArrivalRecorder } from './arrival.ts';
import type { RateLimit } from './rate-limit.ts';
import { isSentWhole, isWrongContent, sendWhole } from './send-whole.ts';

/** Told about blobs that really have to cross the link; what the target has already is not counted. */
export interface TransferProgress {
  found(blob: Descriptor): void;
  /** So much of it has crossed earlier: an unfinished upload goes on there. */
  resumed(sizeBytes: number): void;
  /** Negative when received bytes turned out to be wrong and were thrown away. */
  received(sizeBytes: number): void;
  done(blob: Descriptor): void;
}

export interface BlobTransfer {
  readonly source: Pick<ImageSource, 'readBlob' | 'readSmallBlob'>;
  readonly target: ImageTarget;
  readonly repository: RepositoryName;
  readonly blob: Descriptor;
  readonly signal: AbortSignal;
  /** As in `AppendOptions`. */
  readonly partSignal?: AbortSignal | undefined;
  readonly progress?: TransferProgress | undefined;
  /** That it belongs to; children are told of it. */
  readonly image?: { readonly tag: Tag | undefined; readonly platform?: Platform | undefined } | undefined;
  /** It broke off, and will go on. */
  readonly onStopped?: () => void;
}

/** `absent`: the source does not have it. */
export type TransferOutcome = 'present' | 'mounted' | 'sent' | 'absent';

export interface TransferBlobOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly rate: RateLimit;
  readonly arrival: ArrivalRecorder;
  /** Whether it goes before others on the link, now. */
  readonly isUrgent: () => boolean;
  /** It really has to cross the link. */
  readonly onFound?: () => void;
}

/** Tries in a row without a single new byte before the transfer is given up for this pass. */
const fruitlessTriesLimit = 4;
const retryBackOff = { firstMs: 1000, longestMs: 30_000 };

/** One transfer, from its first try to its last. Throws as `BlobTransfers.carry`. */
export async function transferBlob(transfer: BlobTransfer, options: TransferBlobOptions): Promise<TransferOutcome> {
  const { target, repository, blob, signal, progress } = transfer;
  const { clock, log, random, arrival } = options;
  signal.throwIfAborted();
  if (await target.hasBlob(repository, blob.digest, { signal })) return 'present';
  if (await target.mountBlob(repository, blob.digest, { signal })) {
    arrival.standAt(blob.size);
    return 'mounted';
  }
  progress?.found(blob);
  options.onFound?.();
  const meter = createMeter(progress, arrival);
  let wrongBefore = false;
  for (let fruitless = 0; ;) {
    const before = meter.position;
    try {
      const outcome = await tryOnce(transfer, options, meter);
      if (outcome === 'sent') progress?.done(blob);
      return outcome;
    } catch (error) {
      signal.throwIfAborted();
      const wrong = isWrongContent(error);
      if (wrong ? wrongBefore : !isWorthRetrying(error)) throw wrong ? lying(transfer, error) : error;
      wrongBefore ||= wrong;
      fruitless = meter.position > before ? 0 : fruitless + 1;
      if (fruitless >= fruitlessTriesLimit) throw error;
      transfer.onStopped?.();
      log.debug('A blob transfer stopped and will go on.', { repository, digest: blob.digest, error });
      await clock.wait(backOffMs(fruitless, retryBackOff, random), signal);
      // Where only the answer to the commit was lost, nothing has to be sent again.
      if (meter.position === blob.size && (await target.hasBlob(repository, blob.digest, { signal }))) {
        progress?.done(blob);
        return 'sent';
      }
    }
  }
}

async function tryOnce(transfer: BlobTransfer, options: TransferBlobOptions, meter: Meter): Promise<'sent' | 'absent'> {
  const { source, target, repository, blob, signal, partSignal } = transfer;
  const { rate, arrival, isUrgent } = options;
  // Who waits for a blob reads it while it arrives.
  if (isSentWhole(transfer) && !isUrgent()) {
    return sendWhole(transfer, { rate, standAt: (position) => meter.standAt(position) });
  }
  const upload = await target.beginBlob(repository, blob, { signal });
  arrival.receiveInto(upload);
  try {
    meter.beginAt(upload.offset);
    if (upload.offset < blob.size) {
      const content = await source.readBlob(repository, blob.digest, { offset: upload.offset, signal });
      if (!content) {
        await upload.cancel();
        return 'absent';
      }
      // A source that hangs ends with the pass, too.
      addAbortSignal(signal, content);
      try {
        await upload.append(piecesFor(upload, content, transfer, options, meter), { signal, partSignal, isOurs: true });
      } finally {
        content.destroy();
        meter.standAt(upload.offset);
      }
      if (upload.offset < blob.size) throw new ParentError('unreachable', 'the content ended early');
    }
    await upload.commit(blob.digest, { signal });
    return 'sent';
  } catch (error) {
    if (isWrongContent(error)) arrival.discard();
    await letGo(upload, isWrongContent(error));
    throw error;
  } finally {
    arrival.receiveInto(undefined);
  }
}

/**
 * The content in pieces as they may pass. It counts as it is read; where the upload gathers it and sends it in parts at
 * a pace of its own, as these leave.
 */
function piecesFor(
  upload: BlobUpload,
  content: AsyncIterable<Uint8Array>,
  { blob, signal }: BlobTransfer,
  { rate, isUrgent }: TransferBlobOptions,
  meter: Meter,
): AsyncGenerator<Uint8Array> {
  const pace: Pace = (sizeBytes, ofPart = signal) => rate.take(sizeBytes, { signal: ofPart, isUrgent });
  /** Where what was read ends. */
  let end = upload.offset;
  upload.paceWith?.(async (sizeBytes, ofPart) => {
    const granted = await pace(sizeBytes, ofPart);
    // A part that is sent a second time is counted once.
    meter.standAt(Math.min(end, meter.position + granted));
    return granted;
  });

  async function* pieces(): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      if (end + chunk.length > blob.size) throw new RegistryError('DIGEST_INVALID');
      for (let passed = 0; passed < chunk.length;) {
        const granted = upload.paceWith ? chunk.length : await pace(chunk.length - passed);
        end += granted;
        yield granted === chunk.length ? chunk : chunk.subarray(passed, passed + granted);
        passed += granted;
        if (!upload.paceWith) meter.standAt(end);
      }
    }
  }
  return pieces();
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
  /** A try begins here: the first one where an earlier transfer got to. */
  beginAt(position: number): void;
  standAt(position: number): void;
}

/** Tells positions within one blob to whoever reads along, and to progress the differences that it adds up. */
function createMeter(progress: TransferProgress | undefined, arrival: ArrivalRecorder): Meter {
  let position = 0;
  /** What had crossed before the first try, as far as it is still there. */
  let resumed: number | undefined;

  function standAt(next: number): void {
    const lost = Math.max(0, (resumed ??= 0) - next);
    const crossed = next - position + lost;
    if (lost > 0) progress?.resumed(-lost);
    if (crossed !== 0) progress?.received(crossed);
    resumed -= lost;
    position = next;
    arrival.standAt(next);
  }

  return {
    get position() {
      return position;
    },
    beginAt(next) {
      if (resumed === undefined) {
        if (next > 0) progress?.resumed(next);
        resumed = position = next;
      }
      standAt(next);
    },
    standAt,
  };
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
