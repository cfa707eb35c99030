import { expect } from 'chai';
import { createBufferPool } from '../../modules/registry/src/http/buffer-pool.ts';
import { createPieces } from '../../modules/registry/src/http/pieces.ts';
import { openBytes } from '../../modules/registry/src/store/open-blob.ts';
import type { OpenBlob } from '../../modules/registry/src/store/store.ts';

/** A blob of eight letters that tells how often it was read. */
function lettersRead(): OpenBlob & { readonly reads: number } {
  const letters = openBytes(Buffer.from('abcdefgh'));
  let reads = 0;
  return {
    size: letters.size,
    get reads() {
      return reads;
    },
    read(buffer, position) {
      reads += 1;
      return letters.read(buffer, position);
    },
    close: () => letters.close(),
  };
}

describe('pieces', () => {
  const open = () => {
    const buffers = createBufferPool({ sizeBytes: 4, keep: 2 });
    return { buffers, pieces: createPieces({ buffers }), blob: lettersRead() };
  };
  const first = { position: 0, length: 8 };

  it('are read once for all who have them at the same time', async () => {
    const { pieces, blob } = open();
    const [one, other] = [pieces.take(blob, first, 'letters'), pieces.take(blob, first, 'letters')];
    expect((await one.bytes).toString()).to.equal('abcd');
    expect(await other.bytes).to.equal(await one.bytes);
    one.release();
    expect(await pieces.take(blob, first, 'letters').bytes).to.equal(await other.bytes);
    expect(blob.reads).to.equal(1);
  });

  it('are read again once nobody has them any more', async () => {
    const { pieces, blob } = open();
    const one = pieces.take(blob, first, 'letters');
    await one.bytes;
    one.release();
    await pieces.take(blob, first, 'letters').bytes;
    expect(blob.reads).to.equal(2);
  });

  for (const [what, position, content] of [
    ['at another position', 4, 'letters'],
    ['of other content', 0, 'figures'],
  ] as const) {
    it(`are not shared ${what}`, async () => {
      const { pieces, blob } = open();
      const one = pieces.take(blob, first, 'letters');
      const other = pieces.take(blob, { position, length: 4 }, content);
      expect(await other.bytes).not.to.equal(await one.bytes);
      expect(blob.reads).to.equal(2);
    });
  }

  it('are not shared where the content has no name', async () => {
    const { pieces, blob } = open();
    const [one, other] = [pieces.take(blob, first, undefined), pieces.take(blob, first, undefined)];
    expect(await other.bytes).not.to.equal(await one.bytes);
  });

  it('keep their buffer until the last one has sent them', async () => {
    const { buffers, pieces, blob } = open();
    const [one, other] = [pieces.take(blob, first, 'letters'), pieces.take(blob, first, 'letters')];
    const { buffer } = await one.bytes;
    one.release();
    const between = buffers.take();
    expect(between.buffer).not.to.equal(buffer);
    other.release();
    expect(buffers.take().buffer).to.equal(buffer);
  });

  it('leave their buffer to a socket that one of them was not sent through', async () => {
    const { buffers, pieces, blob } = open();
    const [one, other] = [pieces.take(blob, first, 'letters'), pieces.take(blob, first, 'letters')];
    const { buffer } = await one.bytes;
    one.release('unsent');
    other.release();
    expect(buffers.take().buffer).not.to.equal(buffer);
  });

  it('that could not be read fail everybody who has them, and nobody later', async () => {
    const { pieces, blob } = open();
    const broken: OpenBlob = { ...blob, read: () => Promise.resolve(0) };
    const [one, other] = [pieces.take(broken, first, 'letters'), pieces.take(blob, first, 'letters')];
    const failures = await Promise.allSettled([one.bytes, other.bytes]);
    expect(failures.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    one.release();
    other.release();
    expect((await pieces.take(blob, first, 'letters').bytes).toString()).to.equal('abcd');
  });
});
