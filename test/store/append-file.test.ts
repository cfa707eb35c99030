import { expect } from 'chai';
import { readFile, rm, symlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { appendContent, openUploadFile, type AppendTarget } from '../../modules/registry/src/store/append-file.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const MiB = 1024 * 1024;
const pieceBytes = 64 * 1024;
const whole = Buffer.alloc(40 * MiB, 'a layer that is longer than what may wait ');

describe('appendContent()', () => {
  let directory: string;
  let path: string;
  let file: FileHandle | undefined;
  beforeEach(async () => {
    directory = await temporaryDirectory();
    path = join(directory, 'upload');
  });
  afterEach(async () => {
    await file?.close();
    file = undefined;
    await rm(directory, { recursive: true });
  });

  it('reads on while one write is under way, and stops at 2 MiB in memory until it is done', async () => {
    const sender = new Sender();
    const disk = new Gate();
    const upload = new Upload(path, async (opened) => {
      file = opened;
      const writev = opened.writev.bind(opened);
      opened.writev = async (pieces, position) => {
        await disk.passed;
        return writev(pieces, position);
      };
    });
    const appending = upload.append(sender.pieces());
    await sender.silence();
    expect(sender.sentBytes).to.be.within(2 * MiB - pieceBytes, 2 * MiB + pieceBytes);
    expect(upload.writtenBytes).to.equal(0);
    disk.open();
    expect(await appending).to.equal(undefined);
    expect(upload.writtenBytes).to.equal(whole.length);
    expect((await readFile(path)).equals(whole)).to.equal(true);
  });

  it('waits for the disk after 32 MiB that it has not confirmed, and tells where the bytes are every 16', async () => {
    const sender = new Sender();
    const disk = new Gate();
    const upload = new Upload(path, async (opened) => {
      file = opened;
      const datasync = opened.datasync.bind(opened);
      opened.datasync = async () => {
        await disk.passed;
        return datasync();
      };
    });
    const appending = upload.append(sender.pieces());
    await sender.silence();
    expect(sender.sentBytes).to.be.within(32 * MiB, 34 * MiB);
    expect(upload.syncs).to.equal(1);
    disk.open();
    await appending;
    expect(upload.syncs).to.equal(2);
    expect((await readFile(path)).equals(whole)).to.equal(true);
  });

  it('tells an error of a sync that nobody waited for, and reads no more', async () => {
    const sender = new Sender();
    const failure = Object.assign(new Error('the disk is gone'), { code: 'EIO' });
    const upload = new Upload(path, (opened) => {
      file = opened;
      opened.datasync = () => Promise.reject(failure);
      return Promise.resolve();
    });
    expect(await upload.append(sender.pieces()).catch((error: unknown) => error)).to.equal(failure);
    expect(sender.sentBytes).to.be.at.most(34 * MiB);
    expect(sender.isLeft).to.equal(true);
  });

  it('tells an error of a write that nobody waited for, and counts none of its bytes', async () => {
    await symlink('/dev/full', path);
    const sender = new Sender();
    const upload = new Upload(path, (opened) => Promise.resolve(void (file = opened)));
    const error = await upload.append(sender.pieces()).catch((reason: unknown) => reason);
    expect(error).to.have.property('code', 'ENOSPC');
    expect(upload.writtenBytes).to.equal(0);
    expect(sender.sentBytes).to.be.at.most(2 * MiB + pieceBytes);
    expect(sender.isLeft).to.equal(true);
  });

  it('frees the memory of pieces it was given for good, and leaves all others as they were', async () => {
    for (const isOurs of [true, false]) {
      const upload = new Upload(path, (opened) => Promise.resolve(void (file = opened)));
      const given = Array.from({ length: 40 }, (_, number) => new Uint8Array(pieceBytes).fill(number));
      const shared = new Uint8Array(4 * pieceBytes).fill(99);
      const parts = [shared.subarray(0, pieceBytes), shared.subarray(pieceBytes)];
      await upload.append(from([...given, ...parts]), { isOurs });
      const wanted = Buffer.concat(
        [...given.keys()].map((number) => Buffer.alloc(pieceBytes, number)).concat(Buffer.alloc(4 * pieceBytes, 99)),
      );
      expect((await readFile(path)).equals(wanted)).to.equal(true);
      expect(given.every(({ byteLength }) => byteLength === (isOurs ? 0 : pieceBytes))).to.equal(true);
      expect(parts.map(({ byteLength }) => byteLength)).to.deep.equal([pieceBytes, 3 * pieceBytes]);
      await file?.close();
      file = undefined;
      await rm(path);
    }
  });
});

/** A file to append to, and what was told of it. */
class Upload {
  writtenBytes = 0;
  syncs = 0;
  readonly #path: string;
  readonly #onOpen: (file: FileHandle) => Promise<void>;

  constructor(path: string, onOpen: (file: FileHandle) => Promise<void>) {
    this.#path = path;
    this.#onOpen = onOpen;
  }

  append(content: AsyncIterable<Uint8Array>, { isOurs = false } = {}): Promise<Buffer | undefined> {
    const target: AppendTarget = {
      ...{ storedBytes: 0, held: Buffer.alloc(0), onReceived: () => undefined, onWriting: () => undefined },
      open: async () => {
        const file = await openUploadFile(this.#path, 0);
        await this.#onOpen(file);
        return file;
      },
      onWritten: (sizeBytes) => void (this.writtenBytes += sizeBytes),
      onSync: () => Promise.resolve(void (this.syncs += 1)),
    };
    const { signal } = new AbortController();
    const ensureRoom = (): Promise<void> => Promise.resolve();
    return appendContent(target, { content, signal, limitBytes: Infinity, isOurs, ensureRoom });
  }
}

/** Sends `whole` as fast as it is asked. */
class Sender {
  sentBytes = 0;
  isLeft = false;

  async *pieces(): AsyncGenerator<Uint8Array> {
    try {
      while (this.sentBytes < whole.length) {
        const piece = whole.subarray(this.sentBytes, this.sentBytes + pieceBytes);
        this.sentBytes += piece.length;
        yield piece;
      }
    } finally {
      this.isLeft = true;
    }
  }

  /** Resolves once it was asked for nothing more during many turns of the disk. */
  async silence(): Promise<void> {
    for (let turns = 0, before = -1; turns < 50; turns += 1) {
      if (before !== this.sentBytes) turns = 0;
      before = this.sentBytes;
      await readFile(import.meta.filename);
    }
  }
}

class Gate {
  open: () => void = () => undefined;
  readonly passed = new Promise<void>((resolve) => (this.open = resolve));
}

async function* from(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
