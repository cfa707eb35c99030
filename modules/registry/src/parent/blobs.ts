import { Readable } from 'node:stream';
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
    async readBlob(repository, digest, { offset = 0, signal }: Cancellable & { readonly offset?: number } = {}) {
      const answer = await sender.open({
        method: 'GET',
        to: `/v2/${repository}/blobs/${digest}`,
        access: pullAccess(repository),
        headers: offset > 0 ? { range: `bytes=${offset}-` } : {},
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
      const size =
        sizeIn(answer.headers['content-range']) ?? (await sizeOf(repository, digest, { ...(signal && { signal }) }));
      if (size === offset) return Readable.from([], { objectMode: false });
      throw new ParentError('broken', `${answer.url.host} cannot send ${digest} from byte ${offset} on`, {
        status: 416,
      });
    },
  };
}

interface Part {
  /** Bytes to leave out at the start: the parent did not. */
  readonly skip: number;
  /** What the answer must hold in all; undefined where it does not tell. */
  readonly length: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The body as a stream that ends only when everything came; anything else is an error on it. */
function contentOf({ body, url }: OpenAnswer, part: Part): Readable {
  const chunks = wholeBody(body, url.host, part);
  const content = new Readable({
    read() {
      chunks.next().then(
        ({ done, value }) => content.push(done ? null : value),
        (error: unknown) => content.destroy(error as Error),
      );
    },
    // Not Readable.from: it waits for the next chunk before it lets go, and a stalled body would keep its socket.
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  return content;
}

async function* wholeBody(
  body: Readable,
  host: string,
  { skip, length, signal }: Part,
): AsyncGenerator<Buffer, undefined> {
  let received = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const unwanted = Math.max(0, skip - received);
      received += chunk.length;
      if (unwanted < chunk.length) yield unwanted === 0 ? chunk : chunk.subarray(unwanted);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw connectionFailure(error, host);
  }
  if ((length !== undefined && received !== length) || received < skip) {
    throw new ParentError('unreachable', `${host} sent ${received} bytes and stopped short`);
  }
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
