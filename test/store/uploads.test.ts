import { expect } from 'chai';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, symlink, writeFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import type { BlobUpload } from '../../modules/registry/src/oci/registry.ts';
import { blobPath, smallBlobBytes } from '../../modules/registry/src/store/layout.ts';
import type { UploadSession } from '../../modules/registry/src/store/store.ts';
import { pushBlob } from '../helpers/images.ts';
import { repository } from '../helpers/names.ts';
import { filesIn } from './garbage.ts';
import { codeOf, contentOf, withStore } from './with-store.ts';

const plant = repository('plant');
const other = repository('other');
const bytes = Buffer.alloc(3 * 1024 * 1024 + 11, 'some layer ');
const digest = digestOf(bytes);
const blob = { digest, size: bytes.length };
const [half, rest] = [bytes.subarray(0, 1_500_000), bytes.subarray(1_500_000)];

/** `/dev/full` answers every write with ENOSPC. */
const onLinux = existsSync('/dev/full') ? it : it.skip;

describe('uploads', () => {
  it(
    'hands a large part to the disk when it is let go of, and tells at each commit when the disk did not take it',
    withStore(async ({ store, directory }) => {
      const parts = Buffer.alloc(10 * 1024 * 1024, 'a layer in two parts ');
      const session = await store.uploads.begin(plant);
      const disk = await watchSyncs(directory);
      try {
        const failure = Object.assign(new Error('the disk is gone'), { code: 'EIO' });
        disk.failure = failure;
        await session.append(contentOf(parts.subarray(0, 5 * 1024 * 1024)));
        await session.release();
        expect(disk.syncs).to.equal(1);
        disk.failure = undefined;
        const again = await store.uploads.find(plant, session.id);
        await again!.append(contentOf(parts.subarray(5 * 1024 * 1024)));
        for (let attempt = 0; attempt < 2; attempt += 1) {
          expect(await again!.commit(digestOf(parts)).catch((error: unknown) => error)).to.equal(failure);
        }
        expect(await store.statBlob(plant, digestOf(parts))).to.equal(undefined);
        await again!.cancel();
      } finally {
        disk.restore();
      }
    }),
  );

  it(
    'takes what came as a whole like what comes bit by bit, also once that is too much to hold',
    withStore(async ({ store, directory }) => {
      const piece = Buffer.alloc(40_000, 'a piece ');
      const session = await store.uploads.begin(plant);
      await session.append(piece);
      expect(await readdir(join(directory, 'uploads'))).to.deep.equal([]);
      await session.append(piece);
      await session.append(piece.subarray(0, 5));
      expect(session.offset).to.equal(80_005);
      const whole = Buffer.concat([piece, piece, piece.subarray(0, 5)]);
      await session.commit(digestOf(whole));
      expect((await readFile(blobPath(directory, digestOf(whole)))).equals(whole)).to.equal(true);

      const download = await store.replica.beginBlob(plant, { digest, size: 10 });
      expect(await codeOf((download as UploadSession).append(Buffer.alloc(11)))).to.equal('SIZE_INVALID');
      await download.cancel();
    }),
  );

  it(
    'lets go of a small part without the disk',
    withStore(async ({ store, directory }) => {
      const session = await store.uploads.begin(plant);
      const disk = await watchSyncs(directory);
      try {
        await session.append(contentOf(bytes));
        await session.release();
        expect(disk.syncs).to.equal(0);
        await (await store.uploads.find(plant, session.id))!.commit(digest);
        expect(disk.syncs).to.equal(1);
      } finally {
        disk.restore();
      }
    }),
  );

  it(
    'survive a restart, at the offset they had',
    withStore(async ({ store, reopen }) => {
      const first = await store.uploads.begin(plant);
      await first.append(contentOf(half));
      const again = await reopen();
      const second = await again.uploads.find(plant, first.id);
      expect(second!.offset).to.equal(half.length);
      await second!.append(contentOf(rest));
      await second!.commit(digest);
      expect(await again.statBlob(plant, digest)).to.deep.equal({ size: bytes.length });
      expect(await again.uploads.find(plant, first.id)).to.equal(undefined);
    }),
  );

  it(
    'with little in them are no file while somebody writes, and one when let go: a killed process loses nothing told',
    withStore(async ({ store, directory, reopen }) => {
      const files = (): Promise<string[]> => readdir(join(directory, 'uploads'));
      const first = await store.uploads.begin(plant);
      await first.append(contentOf('some'));
      await first.append(contentOf(' te'));
      expect(first.offset).to.equal(7);
      expect(await files()).to.deep.equal([]);
      await first.release();
      expect(await files()).to.deep.equal([first.id]);
      await first.append(contentOf('xt'));
      const begun = await store.uploads.begin(plant);
      await begun.append(contentOf('held at the close'));
      const again = await reopen();
      expect((await again.uploads.find(plant, begun.id))!.offset).to.equal(17);
      const second = await again.uploads.find(plant, first.id);
      expect(second!.offset).to.equal(9);
      await second!.commit(digestOf(Buffer.from('some text')));
      expect(await files()).to.deep.equal([begun.id]);
      const blobOfText = await again.openBlob(plant, digestOf(Buffer.from('some text')));
      expect(String(blobOfText!.bytes)).to.equal('some text');
    }),
  );

  for (const [sizeBytes, place] of [
    [smallBlobBytes, 'row'],
    [smallBlobBytes + 1, 'file'],
  ] as const) {
    it(
      `of ${sizeBytes} bytes end as a ${place}, in one piece or in many, over a restart or not`,
      withStore(async ({ store, directory, reopen }) => {
        const whole = Buffer.alloc(sizeBytes, `${place} `);
        const files = async (): Promise<number> => (await filesIn(directory, 'blobs')).length;
        await pushBlob(store.local, plant, whole);
        expect(await files()).to.equal(place === 'file' ? 1 : 0);
        const opened = (await store.openBlob(plant, digestOf(whole)))!;
        expect(opened.bytes?.length).to.equal(place === 'row' ? sizeBytes : undefined);
        await opened.close();
        const pieces = Buffer.alloc(sizeBytes, `${place} in pieces `);
        const session = await store.uploads.begin(plant);
        for (let at = 0; at < sizeBytes; at += 30_000) {
          await session.append(contentOf(pieces.subarray(at, at + 30_000)));
          await session.release();
        }
        const again = await reopen();
        await (await again.uploads.find(plant, session.id))!.commit(digestOf(pieces));
        expect(await files()).to.equal(place === 'file' ? 2 : 0);
        expect(await filesIn(directory, 'uploads')).to.deep.equal([]);
        for (const content of [whole, pieces]) {
          const stream = await again.readBlob(plant, digestOf(content), { offset: 5 });
          expect(Buffer.concat((await stream!.toArray()) as Buffer[])).to.deep.equal(content.subarray(5));
        }
        expect(again.contents).to.deep.include({ blobs: 2, usedBytes: 2 * sizeBytes });
      }),
    );
  }

  it(
    'are found by their id in their repository only, and never by a path',
    withStore(async ({ store, directory }) => {
      await writeFile(join(directory, 'secret'), 'x');
      const { id } = await store.uploads.begin(plant);
      const download = await store.replica.beginBlob(plant, blob);
      expect((await store.uploads.find(plant, id))?.id).to.equal(id);
      expect(await store.uploads.find(other, id)).to.equal(undefined);
      for (const wrong of ['../secret', '', `sha256-${digest.slice(7)}`, id.replace(/./, 'z')]) {
        expect(await store.uploads.find(plant, wrong)).to.equal(undefined);
      }
      await download.cancel();
    }),
  );

  it(
    'take one writer at a time',
    withStore(async ({ store }) => {
      const upload = await store.uploads.begin(plant);
      const content = new PassThrough();
      const appending = upload.append(content);
      const same = await store.uploads.find(plant, upload.id);
      expect(await codeOf(same!.append(contentOf('x')))).to.equal('BLOB_UPLOAD_INVALID');
      expect(await codeOf(same!.commit(digest))).to.equal('BLOB_UPLOAD_INVALID');
      content.end(bytes);
      await appending;
      await same!.commit(digest);
      expect(await codeOf(upload.append(contentOf('x')))).to.equal('BLOB_UPLOAD_UNKNOWN');
      expect(await codeOf(upload.cancel())).to.equal('BLOB_UPLOAD_UNKNOWN');
    }),
  );

  it(
    'with the wrong digest are discarded with their bytes',
    withStore(async ({ store, directory }) => {
      const upload = await store.uploads.begin(plant);
      await upload.append(contentOf('lies'));
      expect(await codeOf(upload.commit(digest))).to.equal('DIGEST_INVALID');
      expect(await store.uploads.find(plant, upload.id)).to.equal(undefined);
      expect(await readdir(join(directory, 'uploads'))).to.deep.equal([]);
      expect(await store.hasRepository(plant)).to.equal(false);
    }),
  );

  it(
    'may be committed under another algorithm than they began with, even when empty',
    withStore(async ({ store }) => {
      for (const content of [Buffer.from('text'), Buffer.alloc(0)]) {
        const upload = await store.uploads.begin(plant);
        if (content.length > 0) await upload.append(contentOf(content));
        await upload.commit(digestOf(content, 'sha512'));
        expect(await store.statBlob(plant, digestOf(content, 'sha512'))).to.deep.equal({ size: content.length });
      }
    }),
  );

  it(
    'of a blob that is here only link it',
    withStore(async ({ store, directory }) => {
      await pushBlob(store.local, plant, bytes);
      const upload = await store.uploads.begin(other);
      await upload.append(contentOf(bytes));
      await upload.commit(digest);
      expect(await store.statBlob(other, digest)).to.deep.equal({ size: bytes.length });
      expect(await readdir(join(directory, 'uploads'))).to.deep.equal([]);
      expect(store.contents.blobs).to.equal(1);
    }),
  );

  it(
    'keep what came before the signal fired',
    withStore(async ({ store }) => {
      const upload = await store.uploads.begin(plant);
      const abort = new AbortController();
      const breaking = (async function* () {
        yield half;
        abort.abort(new Error('window closed'));
        await new Promise(() => undefined); // a sender that never sends again
      })();
      const error = await upload.append(breaking, { signal: abort.signal }).catch((reason: unknown) => reason);
      expect(error).to.equal(abort.signal.reason);
      expect(upload.offset).to.equal(half.length);
      await upload.append(contentOf(rest));
      await upload.commit(digest);
    }),
  );

  it(
    'stop when the store closes, and keep what came',
    withStore(async ({ store, reopen }) => {
      const upload = await store.uploads.begin(plant);
      const content = new PassThrough();
      const appending = codeOf(upload.append(content));
      for (const piece of [half.subarray(0, 1_200_000), half.subarray(1_200_000)]) {
        if (!content.write(piece)) await new Promise((resolve) => content.once('drain', resolve));
      }
      const again = await reopen();
      expect(await appending).to.equal('UNAVAILABLE');
      expect(await codeOf(upload.append(contentOf('x')))).to.equal('UNAVAILABLE');
      expect((await again.uploads.find(plant, upload.id))!.offset).to.equal(upload.offset);
      expect(upload.offset).to.be.greaterThan(0);
    }),
  );

  onLinux(
    'tell a full disk, and go on when there is room again',
    withStore(async ({ store, directory }) => {
      const full = await store.uploads.begin(plant);
      await symlink('/dev/full', join(directory, 'uploads', full.id));
      expect(await codeOf(full.append(contentOf(bytes)))).to.equal('STORAGE_FULL');
      expect(full.offset).to.equal(0);
      await full.cancel();
      await pushBlob(store.local, plant, bytes);
      expect(await store.statBlob(plant, digest)).to.deep.equal({ size: bytes.length });
    }),
  );

  it(
    'leave the reserve of the disk to the index',
    withStore(
      async ({ store }) => {
        const upload = await store.uploads.begin(plant);
        expect(await codeOf(upload.append(contentOf('x')))).to.equal('STORAGE_FULL');
        await store.records.put('key', 'value');
      },
      { reserveBytes: Number.MAX_SAFE_INTEGER },
    ),
  );
});

describe('beginBlob()', () => {
  it(
    'goes on with the same download after a restart, from any repository',
    withStore(async ({ store, reopen }) => {
      const first = await store.replica.beginBlob(plant, blob);
      await first.append(contentOf(half));
      await first.release();
      const again = await reopen();
      const second = await again.replica.beginBlob(other, blob);
      expect(second.offset).to.equal(half.length);
      await second.append(contentOf(rest));
      await second.commit(digest);
      expect(await again.statBlob(other, digest)).to.deep.equal({ size: bytes.length });
      expect(await again.statBlob(plant, digest)).to.equal(undefined);
    }),
  );

  it(
    'waits for whoever downloads the same blob, then has nothing left to download',
    withStore(async ({ store, directory }) => {
      const first = await store.replica.beginBlob(plant, blob);
      const waiting = store.replica.beginBlob(other, blob);
      await first.append(contentOf(bytes));
      await first.commit(digest);
      const second = await waiting;
      expect(second.offset).to.equal(bytes.length);
      expect(await store.statBlob(other, digest)).to.equal(undefined);
      await second.commit(digest);
      expect(await store.statBlob(other, digest)).to.deep.equal({ size: bytes.length });
      expect(existsSync(join(directory, 'uploads', `sha256-${digest.slice(7)}`))).to.equal(false);
    }),
  );

  /** A power cut may leave the name of a file and its length without its content; such a file has no row yet. */
  for (const [who, isResumed] of [
    ['a download', false],
    ['an upload that goes on after a restart', true],
  ] as const) {
    it(
      `takes a file without a row, of the right length but another content, for nothing: ${who}`,
      withStore(async ({ store, directory, reopen }) => {
        const path = blobPath(directory, digest);
        await mkdir(dirname(path), { recursive: true });
        if (isResumed) {
          const session = await store.uploads.begin(plant);
          await session.append(contentOf(bytes));
          await session.release();
          await writeFile(path, Buffer.alloc(bytes.length));
          await (await (await reopen()).uploads.find(plant, session.id))!.commit(digest);
        } else {
          await writeFile(path, Buffer.alloc(bytes.length));
          const upload = await store.replica.beginBlob(plant, blob);
          expect(upload.offset).to.equal(0);
          await upload.append(contentOf(bytes));
          await upload.commit(digest);
        }
        expect((await readFile(path)).equals(bytes)).to.equal(true);
      }),
    );
  }

  it(
    'counts a file without a row whose digest is right, as a kill before its row leaves it',
    withStore(async ({ store, directory }) => {
      const path = blobPath(directory, digest);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, bytes);
      const upload = await store.replica.beginBlob(plant, blob);
      expect(upload.offset).to.equal(bytes.length);
      await upload.commit(digest);
      expect(await store.statBlob(plant, digest)).to.deep.equal({ size: bytes.length });
    }),
  );

  it(
    'stops waiting when the signal fires, and leaves the others in line',
    withStore(async ({ store }) => {
      const first = await store.replica.beginBlob(plant, blob);
      const abort = new AbortController();
      const impatient = store.replica.beginBlob(plant, blob, { signal: abort.signal }).catch((error: unknown) => error);
      const patient = store.replica.beginBlob(other, blob);
      abort.abort(new Error('enough'));
      expect(await impatient).to.equal(abort.signal.reason);
      await first.append(contentOf(half));
      await first.release();
      const second = await patient;
      expect(second.offset).to.equal(half.length);
      await second.release();
    }),
  );

  it(
    'refuses more bytes than the blob has',
    withStore(async ({ store }) => {
      const upload = await store.replica.beginBlob(plant, { digest, size: 10 });
      expect(await codeOf(upload.append(contentOf('0123456789', 'and for ever more')))).to.equal('SIZE_INVALID');
      expect(upload.offset).to.equal(10);
      await upload.cancel();
    }),
  );

  it(
    'turns away those who wait when the store closes',
    withStore(async ({ store }) => {
      await store.replica.beginBlob(plant, blob);
      const waiting = codeOf(store.replica.beginBlob(plant, blob));
      const closing = store.close();
      expect(await waiting).to.equal('UNAVAILABLE');
      await closing;
    }),
  );

  it(
    'can be read while it is appended to, between two appends, after a restart, and not after its commit',
    withStore(async ({ store, reopen }) => {
      const read = async (upload: BlobUpload): Promise<Buffer> => {
        const pieces: Buffer[] = [];
        for (let position = 0; ;) {
          const buffer = Buffer.alloc(300_007);
          const count = await upload.read!(buffer, position);
          if (count === 0) return Buffer.concat(pieces);
          pieces.push(buffer.subarray(0, count));
          position += count;
        }
      };
      const upload = await store.replica.beginBlob(plant, blob);
      expect(await read(upload)).to.have.length(0);
      const arriving = new PassThrough();
      const appended = upload.append(arriving);
      let sent = 0;
      for (const end of [1, 100_000, 1_200_000, 2_900_000]) {
        arriving.write(bytes.subarray(sent, end));
        sent = end;
        while ((await read(upload)).length < end) await new Promise((resolve) => setImmediate(resolve));
        expect((await read(upload)).equals(bytes.subarray(0, end))).to.equal(true);
      }
      arriving.end();
      await appended;
      expect((await read(upload)).equals(bytes.subarray(0, sent))).to.equal(true);
      await upload.release();
      const again = await (await reopen()).replica.beginBlob(plant, blob);
      expect((await read(again)).equals(bytes.subarray(0, sent))).to.equal(true);
      await again.append(contentOf(bytes.subarray(sent)));
      await again.commit(digest);
      expect(await read(again)).to.have.length(0);
    }),
  );
});

/** Counts the syncs of all open files; while there is a `failure`, each ends with it. */
async function watchSyncs(directory: string): Promise<{ syncs: number; failure?: Error | undefined; restore(): void }> {
  const file = await open(join(directory, 'any'), 'w');
  const prototype = Object.getPrototypeOf(file) as FileHandle;
  await file.close();
  const datasync = Reflect.get<FileHandle, 'datasync'>(prototype, 'datasync');
  const disk = {
    syncs: 0,
    failure: undefined as Error | undefined,
    restore: () => void (prototype.datasync = datasync),
  };
  prototype.datasync = function (this: FileHandle) {
    disk.syncs += 1;
    return disk.failure ? Promise.reject(disk.failure) : datasync.call(this);
  };
  return disk;
}
