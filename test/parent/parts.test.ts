import { expect } from 'chai';
import fc from 'fast-check';
import { inParts } from '../../modules/registry/src/parent/parts.ts';

describe('inParts()', () => {
  it('cuts any content into whole parts and a rest', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 20 })),
        fc.integer({ min: 1, max: 16 }),
        async (chunks, size) => {
          const parts: Buffer[] = [];
          for await (const part of inParts(iterate(chunks), size)) parts.push(Buffer.from(part));
          expect(Buffer.concat(parts)).to.deep.equal(Buffer.concat(chunks));
          expect(parts.slice(0, -1).every(({ length }) => length === size)).to.equal(true);
          expect(parts.every(({ length }) => length > 0 && length <= size)).to.equal(true);
        },
      ),
    );
  });
});

async function* iterate(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
