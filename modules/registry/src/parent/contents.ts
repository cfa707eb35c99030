import {
  decodeRecords,
  MalformedRecord,
  recordBytesLimit,
  recordsLimit,
  type ContentRecord,
} from '../oci/content-records.ts';
import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import { manifestMediaTypes } from '../oci/media-types.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ReadSmallBlob, StoredManifest } from '../oci/registry.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { messagesAccess } from './access.ts';
import type { ChildIdentity } from './activation.ts';
import { createOptionalApi } from './optional-api.ts';
import type { Sender } from './send.ts';

/**
 * Manifests and small blobs that are asked for at the same time, in one answer of a parent of our kind. It is a short
 * way and nothing else: undefined, whatever went wrong with it, sends the asker on the long one, a request for each,
 * which is tried again, goes on where it was cut, and says why it fails. Throws only the reason of the signal.
 */
export interface Contents {
  readonly isOffered: boolean;
  /** Verified, as the blobs are. */
  findManifest(
    repository: RepositoryName,
    digest: Digest,
    options: { readonly signal: AbortSignal | undefined },
  ): Promise<StoredManifest | undefined>;
  readonly readBlob: ReadSmallBlob;
}

interface Item {
  readonly wanted: { readonly repository: RepositoryName; readonly manifest?: Digest; readonly blob?: Digest };
  settle(record: ContentRecord | Promise<never>): void;
}

/** What waits under one signal, which ends its requests. */
interface Line {
  readonly items: Item[];
  isGathering: boolean;
  requests: number;
}

/** While these are on their way, what comes to be wanted waits for the next: the longer the way, the more of it. */
const requestsAtOnce = 2;

export function createContents(options: {
  readonly sender: Sender;
  readonly clock: Clock;
  readonly log: Log;
  readonly self: ChildIdentity | undefined;
  /** Nobody else is asked; an older one of ours does not have it either, as its answer shows. */
  readonly isOurs: () => boolean;
}): Contents {
  const { sender, clock, log, self, isOurs } = options;
  const api = createOptionalApi(clock);
  const lines = new WeakMap<AbortSignal, Line>();

  function ask(wanted: Item['wanted'], signal: AbortSignal | undefined): Promise<ContentRecord> {
    if (!self || !signal || !contents.isOffered) return Promise.resolve({});
    const line = lines.get(signal) ?? { items: [], isGathering: false, requests: 0 };
    lines.set(signal, line);
    return new Promise((settle) => {
      line.items.push({ wanted, settle });
      begin(line, self, signal);
    });
  }

  /** In a moment, so that what is wanted together goes together. */
  function begin(line: Line, child: ChildIdentity, signal: AbortSignal): void {
    if (line.isGathering || line.requests === requestsAtOnce || line.items.length === 0) return;
    line.isGathering = true;
    setImmediate(() => {
      line.isGathering = false;
      line.requests += 1;
      void request(line.items.splice(0, recordsLimit), child, signal).finally(() => {
        line.requests -= 1;
        begin(line, child, signal);
      });
      begin(line, child, signal);
    });
  }

  /** Never rejects; settles every item. */
  async function request(items: readonly Item[], { registryName }: ChildIdentity, signal: AbortSignal): Promise<void> {
    let settled = 0;
    try {
      const { status, body } = await sender.open({
        method: 'POST',
        to: `/acr/gateway/${registryName}/contents`,
        access: messagesAccess(registryName),
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify({ wanted: items.map(({ wanted }) => wanted) })),
        understands: [200, 400, 403, 404, 405, 413],
        once: true,
        signal,
      });
      if (status !== 200) {
        api.markMissing();
        await body.dump();
      } else {
        for await (const record of decodeRecords(body as AsyncIterable<Buffer>)) {
          const item = items[settled];
          if (!item) throw new MalformedRecord('the parent sends more than it was asked for');
          item.settle(record);
          settled += 1;
        }
      }
    } catch (error) {
      if (signal.aborted) for (const item of items.slice(settled)) item.settle(Promise.reject(signal.reason as Error));
      else log.debug('Small contents did not come together; each is asked for alone.', { error });
    }
    for (const item of items.slice(settled)) item.settle({});
  }

  const contents: Contents = {
    get isOffered() {
      return isOurs() && !api.missing;
    },
    async findManifest(repository, digest, { signal }) {
      const { bytes, mediaType = '' } = await ask({ repository, manifest: digest }, signal);
      return isContentOf(digest, bytes) && manifestMediaTypes.includes(mediaType)
        ? { digest, mediaType, bytes }
        : undefined;
    },
    async readBlob(repository, { digest, size }, { signal }) {
      if (size > recordBytesLimit) return undefined;
      const { bytes } = await ask({ repository, blob: digest }, signal);
      return isContentOf(digest, bytes) && bytes.length === size ? bytes : undefined;
    },
  };
  return contents;
}

function isContentOf(digest: Digest, bytes: Buffer | undefined): bytes is Buffer {
  return bytes !== undefined && digestOf(bytes, algorithmOf(digest)) === digest;
}
