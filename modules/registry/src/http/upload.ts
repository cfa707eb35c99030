import { RegistryError } from '../errors.ts';
import { algorithmOf, isDigestAlgorithm, parseDigest, type Digest, type DigestAlgorithm } from '../oci/digest.ts';
import { smallestArrivingBytes, type ArrivingBlob } from '../oci/arriving-blob.ts';
import type { RepositoryName } from '../oci/names.ts';
import { parseChunkRange } from '../oci/range.ts';
import type { UploadSession } from '../store/store.ts';
import { answerEmpty, type Headers } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { tryMount } from './mount.ts';
import { bodyAtHand, bodyOf, contentLengthOf, hasBody } from './request-body.ts';
import { refuseDigest } from './parameters.ts';

interface SessionParameters {
  readonly name: RepositoryName;
  readonly upload: string;
}

/** [end-4a] Opens a session · [end-4b] takes a whole blob · [end-4c] for another algorithm · [end-11] mounts. */
export async function startUpload(exchange: Exchange, { name }: { readonly name: RepositoryName }): Promise<void> {
  const { query, response, store } = exchange;
  const mounted = await tryMount(exchange, name);
  if (mounted) {
    const { size } = (await store.statBlob(name, mounted)) ?? { size: 0 };
    announce(exchange, name, { digest: mounted, size });
    answerBlob(exchange, name, mounted);
    return;
  }
  const digest = query.has('digest') ? digestIn(query) : undefined;
  const session = await store.uploads.begin(name, { algorithm: digest ? algorithmOf(digest) : algorithmIn(query) });
  if (!digest) {
    answerEmpty(response, 202, sessionHeaders(name, session));
    return;
  }
  try {
    await append(exchange, session);
    await session.commit(digest);
    announce(exchange, name, { digest, size: session.offset });
  } catch (error) {
    // Nobody was told of this session, so nobody can go on with it.
    await session.cancel().catch(() => undefined);
    throw error;
  }
  answerBlob(exchange, name, digest);
}

/** [end-5] The next chunk, or a stream of unknown length. */
export async function patchUpload(exchange: Exchange, { name, upload }: SessionParameters): Promise<void> {
  const session = await findSession(exchange, name, upload);
  await session.takeOver();
  try {
    await append(exchange, session);
  } finally {
    await session.release();
  }
  answerEmpty(exchange.response, 202, sessionHeaders(name, session));
}

/** [end-6] The last chunk, if any, and the digest that everything has to match. */
export async function finishUpload(exchange: Exchange, { name, upload }: SessionParameters): Promise<void> {
  const digest = digestIn(exchange.query);
  const session = await findSession(exchange, name, upload);
  await session.takeOver();
  try {
    if (hasBody(exchange.request)) await append(exchange, session);
    await session.commit(digest);
    announce(exchange, name, { digest, size: session.offset });
  } finally {
    await session.release();
  }
  answerBlob(exchange, name, digest);
}

/** Lets children begin to fetch it while the client still pushes the rest of the image. */
function announce(
  { gateway }: Exchange,
  repository: RepositoryName,
  blob: Pick<ArrivingBlob, 'digest' | 'size'>,
): void {
  if (blob.size >= smallestArrivingBytes) gateway.arrivals.mention({ repository, ...blob });
}

/** [end-13] How far a session is. */
export async function getUpload(exchange: Exchange, { name, upload }: SessionParameters): Promise<void> {
  const session = await findSession(exchange, name, upload);
  await session.settle();
  await session.release();
  answerEmpty(exchange.response, 204, sessionHeaders(name, session));
}

/** [end-14] Gives a session up. */
export async function cancelUpload(exchange: Exchange, { name, upload }: SessionParameters): Promise<void> {
  const session = await findSession(exchange, name, upload);
  await session.takeOver();
  await session.cancel();
  answerEmpty(exchange.response, 204);
}

async function findSession({ store }: Exchange, name: RepositoryName, id: string): Promise<UploadSession> {
  const session = await store.uploads.find(name, id);
  if (!session) throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: { upload: id } });
  return session;
}

/**
 * Adds the body where the session stands. What arrived before an abort is kept.
 * Throws RANGE_INVALID (416) out of order, SIZE_INVALID when the body is not as long as its Content-Range.
 */
async function append(exchange: Exchange, session: UploadSession): Promise<void> {
  const { request } = exchange;
  const header = request.headers['content-range'];
  const range = header === undefined ? undefined : parseChunkRange(header);
  const before = session.offset;
  if (header !== undefined && range?.start !== before) {
    throw new RegistryError('RANGE_INVALID', { detail: { offset: before, contentRange: header } });
  }
  const wanted = range && range.end + 1 - range.start;
  if (wanted !== undefined) checkLength(wanted, contentLengthOf(request) ?? wanted);
  try {
    await session.append(bodyAtHand(request) ?? bodyOf(request), { isOurs: true });
  } finally {
    exchange.bytesReceived += session.offset - before;
  }
  if (wanted !== undefined) checkLength(wanted, session.offset - before);
}

function checkLength(wanted: number, got: number): void {
  if (wanted !== got) throw new RegistryError('SIZE_INVALID', { detail: { wanted, got } });
}

/** The location is relative: it has to hold on both sides of a proxy. */
function sessionHeaders(name: RepositoryName, { id, offset }: UploadSession): Headers {
  return {
    Location: `/v2/${name}/blobs/uploads/${id}`,
    // An empty session has no last byte; clients of distribution expect `0-0`.
    Range: `0-${Math.max(0, offset - 1)}`,
    'Docker-Upload-UUID': id,
    // Nobody has to gather more than a byte before sending it.
    'OCI-Chunk-Min-Length': 1,
  };
}

function answerBlob({ response }: Exchange, name: RepositoryName, digest: Digest): void {
  answerEmpty(response, 201, { Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest });
}

function digestIn(query: URLSearchParams): Digest {
  const text = query.get('digest') ?? '';
  return parseDigest(text) ?? refuseDigest(text);
}

function algorithmIn(query: URLSearchParams): DigestAlgorithm {
  const text = query.get('digest-algorithm') ?? 'sha256';
  return isDigestAlgorithm(text) ? text : refuseDigest(text);
}
