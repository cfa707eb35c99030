/**
 * Many small contents in one answer, in the order in which they were asked for. Each is a line of JSON and, right
 * behind it, as many bytes as that line tells:
 *
 *   {"size":1234,"mediaType":"application/vnd.oci.image.manifest.v1+json"}⏎ …1234 bytes of a manifest…
 *   {"size":10240}⏎ …10240 bytes of a blob…
 *   {}⏎                                            not given here; asked for alone, the answer says why
 */
export interface ContentRecord {
  /** Undefined: not given here. */
  readonly bytes?: Buffer;
  /** Of a manifest. */
  readonly mediaType?: string;
}

export const recordsMediaType = 'application/vnd.connected-registry.contents';
/** A request names no more of them. */
export const recordsLimit = 128;
/** No larger content comes so. */
export const recordBytesLimit = 64 * 1024;
const lineBytesLimit = 256;

export class MalformedRecord extends Error {}

export function encodeRecord({ bytes, mediaType }: ContentRecord): Buffer {
  const line = Buffer.from(`${JSON.stringify({ size: bytes?.length, mediaType })}\n`);
  return bytes ? Buffer.concat([line, bytes]) : line;
}

/** The records in `chunks`, each as soon as it is whole. Throws MalformedRecord, also for one that is cut. */
export async function* decodeRecords(chunks: AsyncIterable<Buffer>): AsyncGenerator<ContentRecord> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (let next = firstIn(held); next; next = firstIn(held)) {
      yield next.record;
      held = held.subarray(next.end);
    }
  }
  if (held.length > 0) throw new MalformedRecord('the last record is cut');
}

/** Undefined while it is not whole. */
function firstIn(held: Buffer): { readonly record: ContentRecord; readonly end: number } | undefined {
  const start = held.subarray(0, lineBytesLimit).indexOf('\n') + 1;
  if (start === 0 && held.length >= lineBytesLimit) throw new MalformedRecord('a record begins with no line');
  if (start === 0) return undefined;
  const { size, mediaType } = parseLine(held.toString('utf8', 0, start));
  const end = start + (size ?? 0);
  if (held.length < end) return undefined;
  const bytes = size === undefined ? {} : { bytes: held.subarray(start, end) };
  return { record: { ...bytes, ...(mediaType !== undefined && { mediaType }) }, end };
}

function parseLine(line: string): { readonly size?: number; readonly mediaType?: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new MalformedRecord('a record begins with a line that is not JSON', { cause });
  }
  const { size, mediaType } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const isSize = typeof size === 'number' && Number.isInteger(size) && size >= 0 && size <= recordBytesLimit;
  if (size !== undefined && !isSize) throw new MalformedRecord(`the size of a record is ${JSON.stringify(size)}`);
  return { ...(isSize && { size }), ...(typeof mediaType === 'string' && { mediaType }) };
}
