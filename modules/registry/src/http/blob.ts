import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { parseRange } from '../oci/range.ts';
import { answerBytes, answerEmpty, type Headers } from './answer.ts';
import { etagOf, isUnmodified, rangeHeaderOf } from './conditional.ts';
import type { Exchange } from './exchange.ts';
import { answerBytesLimit } from './quick-answers.ts';
import { readPart } from './read-part.ts';
import { sendBlob, smallBytes } from './send-blob.ts';

interface BlobParameters {
  readonly name: RepositoryName;
  readonly digest: Digest;
}

/** [end-2] A blob, whole or in part. */
export async function getBlob(exchange: Exchange, { name, digest }: BlobParameters): Promise<void> {
  const { request, response, store, onMiss } = exchange;
  const etag = etagOf(digest);
  const headers: Headers = {
    'Docker-Content-Digest': digest,
    ETag: etag,
    'Cache-Control': 'private, max-age=31536000, immutable',
    'Accept-Ranges': 'bytes',
  };
  if (request.method === 'HEAD' || isUnmodified(request, etag)) {
    const found = (await store.statBlob(name, digest)) ?? (await onMiss.statBlob(name, digest)) ?? refuse(digest);
    if (isUnmodified(request, etag)) answerEmpty(response, 304, headers);
    else answerEmpty(response, 200, { ...headers, ...octets, 'Content-Length': found.size });
    return;
  }
  const isAhead = request.headers['connected-registry'] === 'arriving';
  const openElsewhere = () => (isAhead ? onMiss.openArriving?.(name, digest) : onMiss.openBlob(name, digest));
  const stored = await store.openBlob(name, digest);
  const blob = stored ?? (await openElsewhere()) ?? refuse(digest);
  try {
    const { size } = blob;
    const range = parseRange(rangeHeaderOf(request, etag), size);
    if (range === 'unsatisfiable') {
      response.setHeader('Content-Range', `bytes */${size}`);
      throw new RegistryError('RANGE_INVALID', { detail: { size } });
    }
    // What still arrives goes on piece by piece.
    if (!range && size <= (stored ? answerBytesLimit : smallBytes)) {
      const bytes = blob.bytes ?? (await readPart(blob, { start: 0, length: size }));
      answerBytes(response, 200, bytes, { ...headers, ...octets });
      exchange.remember({ ...headers, ...octets }, bytes);
      return;
    }
    const start = range?.start ?? 0;
    const length = range ? range.end + 1 - start : size;
    const head = (): void => {
      response.writeHead(range ? 206 : 200, {
        ...headers,
        ...octets,
        'Content-Length': length,
        ...(range && { 'Content-Range': `bytes ${range.start}-${range.end}/${size}` }),
      });
    };
    await sendBlob(
      response,
      blob,
      { start, length },
      {
        pieces: exchange.pieces,
        // What still arrives may fail for one client and not for the next.
        content: stored && digest,
        head,
      },
    );
  } finally {
    await blob.close();
  }
}

/** [end-10] Takes a blob out of one repository; others keep it. */
export async function deleteBlob({ response, store }: Exchange, { name, digest }: BlobParameters): Promise<void> {
  if (!(await store.local.deleteBlob(name, digest))) refuse(digest);
  answerEmpty(response, 202);
}

const octets = { 'Content-Type': 'application/octet-stream' };

function refuse(digest: Digest): never {
  throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } });
}
