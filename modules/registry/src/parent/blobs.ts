import { finished, Readable } from 'node:stream';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Cancellable } from '../oci/registry.ts';
import { pullAccess, pushAccess } from './access.ts';
import type { BlobPlaces } from './blob-places.ts';
import type { OpenAnswer } from './connection.ts';
import { connectionFailure } from './failure.ts';
import { ParentError, type ParentRegistry } from './parent.ts';
import type { Sender } from './send.ts';

type Blobs = Pick<ParentRegistry, 'readBlob' | 'hasBlob' | 'statBlob'>;

/** Blobs of the parent (distribution-spec 1.1, end-2), often from a storage host it redirects to. */
export function createBlobs(options: { readonly sender: Sender; readonly places: BlobPlaces }): Blobs {
  const { sender, places } = options;

  /** The size HEAD tells; undefined: not there; NaN: there, size unknown. */
  async function sizeOf(
    repository: RepositoryName,
    digest: Digest,
    { signal, isUrgent }: Cancellable,
    access = pullAccess(repository),
  ): Promise<number | undefined> {
    const { status, headers } = await sender.ask({
      method: 'HEAD',
      to: `/v2/${repository}/blobs/${digest}`,
      access,
      understands: [200, 404],
      isUrgent,
      signal,
    });
    return status === 404 ? undefined : Number(headers['content-length']);
  }

  return {
    /** Asked as who pushes, so that a parent of our kind does not count what it could only fetch. */
    async hasBlob(repository, digest, more = {}) {
      const isThere = (await sizeOf(repository, digest, more, pushAccess(repository))) !== undefined;
      if (isThere) places.note(digest, repository);
      return isThere;
    },
    async statBlob(repository, digest, more = {}) {
      const size = await sizeOf(repository, digest, more);
      if (size === undefined) return undefined;
      if (!Number.isSafeInteger(size))
        throw new ParentError('broken', `the parent does not tell the size of ${digest}`);
      return { size };
    },
    async readBlob(repository, digest, { offset = 0, arriving = false, signal } = {}) {
      const answer = await sender.open({
        method: 'GET',
        to: `/v2/${repository}/blobs/${digest}`,
        access: pullAccess(repository),
        headers: {
          ...(offset > 0 && { range: `bytes=${offset}-` }),
          ...(arriving && { 'connected-registry': 'arriving' }),
        },
        understands: offset > 0 ? [200, 206, 404, 416] : [200, 404],
        signal,
      });
      switch (answer.status) {
        case 200:
          return contentOf(answer, { skip: offset, length: lengthIn(answer), signal });
        case 206:
          return contentOf(answer, { skip: 0, length: partLength(answer, offset), signal });
      }
      await answer.body.dump();
      if (answer.status === 404) return undefined;
      const size = sizeIn(answer.headers['content-range']) ?? (await sizeOf(repository, digest, { signal }));
      if (size === offset) return Readable.from([], { objectMode: false });
      throw new ParentError('broken', `${answer.url.host} cannot send ${digest} from byte ${offset} on`, {
        status: 416,
      });
    },
  };
}

/** So many may wait to be read, while the next one comes. */
const chunksAhead = 4;

interface Part {
  /** Bytes to leave out at the start: the parent did not. */
  readonly skip: number;
  /** What the answer must hold in all; undefined where it does not tell. */
  readonly length: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The body as a stream that ends only when everything came; anything else is an error on it, after what did come. */
function contentOf({ body, url }: OpenAnswer, { skip, length, signal }: Part): Readable {
  const arrived: Buffer[] = [];
  let received = 0;
  let isWanted = false;
  let end: { readonly error?: Error | null | undefined } | undefined;

  /** One chunk at a time, as it came: a stream copies what waits in it into one, and drops it at an error. */
  function give(): void {
    const chunk = arrived.shift();
    isWanted = !chunk && !end;
    if (chunk) {
      if (arrived.length < chunksAhead) body.resume();
      content.push(chunk);
    } else if (end?.error) {
      content.destroy(signal?.aborted ? (signal.reason as Error) : connectionFailure(end.error, url.host));
    } else if (end) {
      const isShort = (length !== undefined && received !== length) || received < skip;
      if (isShort) content.destroy(stoppedShort(url, received));
      else content.push(null);
    }
  }

  const content = new Readable({
    objectMode: true,
    highWaterMark: 1,
    read: give,
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  body.on('data', (chunk: Buffer) => {
    const wanted = chunk.subarray(Math.min(chunk.length, Math.max(0, skip - received)));
    received += chunk.length;
    if (wanted.length > 0) arrived.push(wanted);
    if (arrived.length >= chunksAhead) body.pause();
    if (isWanted) give();
  });
  finished(body, { writable: false }, (error) => {
    end = { error };
    if (isWanted) give();
  });
  return content;
}

function stoppedShort({ host }: URL, received: number): ParentError {
  return new ParentError('unreachable', `${host} sent ${received} bytes and stopped short`);
}

function lengthIn({ headers }: OpenAnswer): number | undefined {
  return headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
}

/** Bytes from `offset` to the end of the blob, when that is what a 206 holds. Throws ParentError `broken`. */
function partLength({ headers, body, url }: OpenAnswer, offset: number): number | undefined {
  const header = headers['content-range'];
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header ?? '');
  if (Number(match?.[1]) !== offset) {
    body.destroy();
    throw new ParentError(
      'broken',
      `${url.host} sends ${header ?? 'a part without Content-Range'}, not from ${offset}`,
    );
  }
  const total = match?.[3] === '*' ? Number(match[2]) + 1 : Number(match?.[3]);
  return total - offset;
}

// The size in the `Content-Range: bytes */1234` of a 416.
function sizeIn(header: string | undefined): number | undefined {
  const match = /^bytes \*\/(\d+)$/.exec(header ?? '');
  return match ? Number(match[1]) : undefined;
}
