import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  encodeRecord,
  recordBytesLimit,
  recordsLimit,
  recordsMediaType,
  type ContentRecord,
} from '../oci/content-records.ts';
import { parseDigest, type Digest } from '../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import { allowsAction } from '../store/attributes.ts';
import type { Exchange } from './exchange.ts';
import { readGatewayBody, refuseField } from './gateway-body.ts';

interface Wanted {
  readonly repository: RepositoryName;
  readonly kind: 'manifest' | 'blob';
  readonly digest: Digest;
}

/** Less would be a system call for each blob. */
const pieceBytes = 64 * 1024;

/**
 * Many manifests and small blobs for a child, in one answer: see `content-records.ts`. It gets what end-2 and end-3
 * would give it; whatever these would refuse, and whatever is not here, is left out. Throws GATEWAY_INVALID.
 */
export async function readContents(exchange: Exchange): Promise<void> {
  const { response } = exchange;
  const wanted = wantedIn(await readGatewayBody(exchange));
  response.writeHead(200, { 'Content-Type': recordsMediaType, 'Cache-Control': 'no-store' });
  await pipeline(Readable.from(piecesOf(exchange, wanted)), response);
}

async function* piecesOf(exchange: Exchange, wanted: readonly Wanted[]): AsyncGenerator<Buffer> {
  let piece: Buffer[] = [];
  let length = 0;
  for (const one of wanted) {
    const record = encodeRecord(await find(exchange, one));
    piece.push(record);
    length += record.length;
    if (length < pieceBytes) continue;
    yield Buffer.concat(piece, length);
    [piece, length] = [[], 0];
  }
  if (length > 0) yield Buffer.concat(piece, length);
}

async function find({ store, access }: Exchange, { repository, kind, digest }: Wanted): Promise<ContentRecord> {
  // The bearer token of the gateway names no repositories; what counts is what the child may read.
  if (access?.unnarrowed.allows(repository, 'content/read') !== true) return {};
  if (!allowsAction(store.locks.of(repository), 'read')) return {};
  if (kind === 'manifest') {
    const { bytes, mediaType } = (await store.findManifest(repository, digest)) ?? {};
    if (!bytes || bytes.length > recordBytesLimit || !store.locks.of(repository, digest).readEnabled) return {};
    return { bytes, ...(mediaType !== undefined && { mediaType }) };
  }
  const blob = await store.openBlob(repository, digest);
  await blob?.close();
  return blob?.bytes ? { bytes: blob.bytes } : {};
}

function wantedIn({ wanted }: Readonly<Record<string, unknown>>): readonly Wanted[] {
  if (!Array.isArray(wanted) || wanted.length > recordsLimit) {
    throw refuseField('wanted', wanted, `must be a list of at most ${recordsLimit} contents`);
  }
  return wanted.map((value: unknown, index) => {
    const { repository, manifest, blob } = (value ?? {}) as Readonly<Record<string, unknown>>;
    const name = typeof repository === 'string' ? parseRepositoryName(repository) : undefined;
    if (!name) throw refuseField(`wanted/${index}/repository`, repository, 'must be a repository name');
    const kind = manifest === undefined ? 'blob' : 'manifest';
    const told = manifest ?? blob;
    const digest = typeof told === 'string' ? parseDigest(told) : undefined;
    if (!digest) throw refuseField(`wanted/${index}/${kind}`, told, 'must be a digest');
    return { repository: name, kind, digest };
  });
}
