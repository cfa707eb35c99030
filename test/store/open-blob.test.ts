import { expect } from 'chai';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFile } from '../../modules/registry/src/store/open-blob.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';

describe('openFile()', () => {
  const content = Buffer.alloc(200_000, 'some layer ');

  function withFile(body: (fd: number, path: string) => Promise<void>): () => Promise<void> {
    return () =>
      withTemporaryDirectory(async (directory) => {
        const path = join(directory, 'blob');
        await writeFile(path, content);
        await body(openSync(path, 'r'), path);
      });
  }

  it(
    'ends a read that was under way at its close, and only then lets go of the file',
    withFile(async (fd) => {
      const blob = openFile({ fd, size: content.length });
      const buffer = Buffer.alloc(content.length);
      const reading = blob.read(buffer, 0);
      await blob.close();
      expect(fstatSync(fd).size).to.equal(content.length);
      expect(await reading).to.equal(content.length);
      expect(buffer.equals(content)).to.equal(true);
      expect(() => fstatSync(fd))
        .to.throw()
        .with.property('code', 'EBADF');
    }),
  );

  it(
    'never closes the file that has its number next',
    withFile(async (fd, path) => {
      const blob = openFile({ fd, size: content.length });
      await blob.close();
      const next = openSync(path, 'r');
      expect(next).to.equal(fd);
      await blob.close();
      expect(fstatSync(next).size).to.equal(content.length);
      closeSync(next);
    }),
  );

  it(
    'reads nothing once it is closed',
    withFile(async (fd) => {
      const blob = openFile({ fd, size: content.length });
      await blob.close();
      const error = await blob.read(Buffer.alloc(10), 0).catch((reason: unknown) => reason);
      expect(error).to.have.property('message', 'the blob is closed');
    }),
  );
});
