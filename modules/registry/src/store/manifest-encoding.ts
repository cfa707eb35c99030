import type { ManifestRow } from './rows.ts';

const newline = 0x0a;

/** One line of JSON, then the manifest's bytes as they came: JSON never holds a raw newline. */
export const manifestEncoding = {
  name: 'manifest-row',
  format: 'buffer' as const,

  encode({ bytes, ...head }: ManifestRow): Buffer {
    return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]);
  },

  decode(value: Buffer): ManifestRow {
    const end = value.indexOf(newline);
    const head = JSON.parse(value.toString('utf8', 0, end)) as Omit<ManifestRow, 'bytes'>;
    return { ...head, bytes: value.subarray(end + 1) };
  },
};
