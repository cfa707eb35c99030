import { expect } from 'chai';
import fc from 'fast-check';
import {
  decodeRecords,
  encodeRecord,
  MalformedRecord,
  recordBytesLimit,
  type ContentRecord,
} from '../../modules/registry/src/oci/content-records.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';

async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
}

async function decode(bytes: Buffer, pieceBytes = bytes.length): Promise<ContentRecord[]> {
  const records: ContentRecord[] = [];
  for await (const record of decodeRecords(inPieces(bytes, pieceBytes))) records.push(record);
  return records;
}

const record = fc.oneof(
  fc.constant({}),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ bytes: Buffer.from(bytes) })),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ bytes: Buffer.from(bytes), mediaType: mediaTypes.ociIndex })),
);

describe('decodeRecords()', () => {
  it('gives what encodeRecord() was given, however it is divided on its way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 10 }),
        fc.integer({ min: 1, max: 400 }),
        async (records, piece) => {
          expect(await decode(Buffer.concat(records.map(encodeRecord)), piece)).to.deep.equal(records);
        },
      ),
    );
  });

  it('gives what is whole before it throws for what is cut', async () => {
    const bytes = Buffer.concat([encodeRecord({ bytes: Buffer.from('whole') }), Buffer.from('{"size":5}\ncut')]);
    const records: ContentRecord[] = [];
    const reading = async (): Promise<void> => {
      for await (const one of decodeRecords(inPieces(bytes, 7))) records.push(one);
    };
    expect(await reading().catch((error: unknown) => error)).to.be.instanceOf(MalformedRecord);
    expect(records).to.deep.equal([{ bytes: Buffer.from('whole') }]);
  });

  for (const [what, text] of [
    ['a line that is not JSON', '<html>\n'],
    ['no line at all', 'x'.repeat(1000)],
    ['a size that is too large', `{"size":${recordBytesLimit + 1}}\n`],
    ['a size that is negative', '{"size":-1}\n'],
    ['a size that is no number', '{"size":"5"}\n'],
  ] as const) {
    it(`throws for ${what}`, async () => {
      expect(await decode(Buffer.from(text)).catch((error: unknown) => error)).to.be.instanceOf(MalformedRecord);
    });
  }
});
