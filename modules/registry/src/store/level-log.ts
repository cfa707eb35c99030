import type { Index } from './layout.ts';

/** One write of a LevelDB batch: without a value it is a delete. */
export interface LoggedWrite {
  readonly key: Buffer;
  readonly value?: Buffer;
}

/** github.com/google/leveldb, doc/log_format.md: blocks, in them records of checksum, length, type and payload. */
const blockBytes = 32 * 1024;
const headerBytes = 7;
const [full, first, middle, last] = [1, 2, 3, 4];
const maskDelta = 0xa282ead8;

/** CRC-32C, reflected. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});
/** Which entry of `table` has this top byte; each has another. */
const byTopByte = Uint8Array.from({ length: 256 }, (_, top) => table.findIndex((entry) => entry >>> 24 === top));

/**
 * The batches of a LevelDB log, in order, as far as they can be read: LevelDB itself leaves out the rest of a block
 * behind a damaged record. One wrong byte in a record is set right with the record's checksum.
 */
export function* batchesOf(log: Buffer): Generator<readonly LoggedWrite[]> {
  let pieces: Buffer[] | undefined;
  for (const record of recordsOf(log)) {
    const { type, payload } = record;
    if (type === full || type === first) pieces = [payload];
    else if (pieces && (type === middle || type === last)) pieces.push(payload);
    else pieces = undefined;
    if (!pieces || (type !== full && type !== last)) continue;
    const batch = parseBatch(Buffer.concat(pieces));
    pieces = undefined;
    if (batch) yield batch;
  }
}

interface LogRecord {
  /** 0: what this was cannot be told any more. */
  readonly type: number;
  readonly payload: Buffer;
}

function* recordsOf(log: Buffer): Generator<LogRecord> {
  for (let block = 0; block < log.length; block += blockBytes) {
    const end = Math.min(block + blockBytes, log.length);
    for (let at = block; at + headerBytes <= end;) {
      const payloadBytes = log.readUInt16LE(at + 4);
      const next = at + headerBytes + payloadBytes;
      if (next > end || (payloadBytes === 0 && log[at + 6] === 0)) break;
      yield checked(log.readUInt32LE(at), log.subarray(at + headerBytes - 1, next));
      at = next;
    }
  }
}

/** `content`: type and payload, over which the checksum goes. */
function checked(stored: number, content: Buffer): LogRecord {
  const actual = crcOf(content);
  const difference = (actual ^ unmask(stored)) >>> 0;
  if (difference === 0) return recordOf(content);
  if (isOneByte((stored ^ mask(actual)) >>> 0)) return recordOf(content);
  const position = wrongByte(difference, content.length);
  if (!position) return { type: 0, payload: Buffer.alloc(0) };
  const mended = Buffer.from(content);
  mended.writeUInt8((mended[position.at] ?? 0) ^ position.by, position.at);
  return recordOf(mended);
}

function recordOf(content: Buffer): LogRecord {
  return { type: content[0] ?? 0, payload: content.subarray(1) };
}

/**
 * Where one wrong byte makes this difference of checksums, and by which bits it is wrong; undefined unless there is
 * exactly one such place. A checksum is linear: the difference depends on the error alone, and can be run backwards.
 */
function wrongByte(difference: number, lengthBytes: number): { at: number; by: number } | undefined {
  let found: { at: number; by: number } | undefined;
  let rest = difference;
  for (let at = lengthBytes - 1; at >= 0; at -= 1) {
    const by = byTopByte[rest >>> 24] ?? 0;
    const entry = table[by] ?? 0;
    if (entry === rest) {
      if (found) return undefined;
      found = { at, by };
    }
    rest = (((rest ^ entry) << 8) | by) >>> 0;
  }
  return found;
}

function crcOf(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + maskDelta) >>> 0;
}

function unmask(masked: number): number {
  const rotated = (masked - maskDelta) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

function isOneByte(bits: number): boolean {
  return [0xff, 0xff00, 0xff0000, 0xff000000].some((byte) => (bits & ~byte) === 0);
}

/** A sequence of eight bytes, a count of four, then tag, key and value; undefined unless it comes out even. */
function parseBatch(bytes: Buffer): LoggedWrite[] | undefined {
  let at = 12;
  const writes: LoggedWrite[] = [];
  while (at < bytes.length) {
    const tag = bytes[at++];
    const key = tag === 0 || tag === 1 ? take() : undefined;
    if (!key) return undefined;
    const value = tag === 1 ? take() : undefined;
    if (tag === 1 && !value) return undefined;
    writes.push({ key, ...(value && { value }) });
  }
  return at === bytes.length && at >= 12 && bytes.readUInt32LE(8) === writes.length ? writes : undefined;

  function take(): Buffer | undefined {
    let lengthBytes = 0;
    for (let shift = 0; shift < 32; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      lengthBytes += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (at + lengthBytes > bytes.length) return undefined;
    at += lengthBytes;
    return bytes.subarray(at - lengthBytes, at);
  }
}

/**
 * Writes all of a log again. It is the newest there is, so that what was applied before comes out the same, and what
 * was left out takes its place. Only for an index that nobody has written to since it was opened.
 */
export async function replay(index: Index, log: Buffer): Promise<void> {
  for (const batch of batchesOf(log)) {
    const operations = batch.map(({ key, value }) =>
      value ? { type: 'put' as const, key, value } : { type: 'del' as const, key },
    );
    await index.batch<Buffer, Buffer>(operations, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  }
}
