import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { createFileTwin, type FileTwin } from '../../modules/registry/src/twin/file-twin.ts';
import type { TwinDocument } from '../../modules/registry/src/twin/twin.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';

class Desk {
  readonly settingsFile: string;
  readonly reportedFile: string;
  readonly directory: string;
  readonly clock = new ManualClock();
  readonly log = new RecordingLog();
  readonly documents: TwinDocument[] = [];
  readonly problems: Problem[] = [];
  readonly twin: FileTwin;

  constructor(directory: string, options: { mayBeMissing?: boolean } = {}) {
    this.directory = directory;
    this.settingsFile = join(directory, 'settings.json');
    this.reportedFile = join(directory, 'reported.json');
    this.twin = this.open(options);
    this.twin.onDesired((document) => this.documents.push(document));
    this.twin.onProblem((problem) => this.problems.push(problem));
  }

  open(options: { mayBeMissing?: boolean } = {}): FileTwin {
    const { settingsFile, reportedFile, clock, log } = this;
    return createFileTwin({ settingsFile, reportedFile, clock, log, parse: parseJson, ...options });
  }

  save(document: unknown): Promise<void> {
    return writeFile(this.settingsFile, typeof document === 'string' ? document : JSON.stringify(document));
  }

  /** The first look. */
  async start(): Promise<void> {
    this.twin.start();
    await this.clock.sleeping();
  }

  /** One more look. */
  async look(): Promise<void> {
    await this.clock.advance(1_000);
    await this.clock.sleeping();
  }
}

function parseJson(text: string): { ok: true; value: unknown } | { ok: false; message: string } {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, message: 'not JSON' };
  }
}

async function withDesk(body: (desk: Desk) => Promise<void>, options: { mayBeMissing?: boolean } = {}): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const desk = new Desk(directory, options);
    try {
      await body(desk);
    } finally {
      await desk.twin.close();
    }
  });
}

describe('createFileTwin()', () => {
  it('hands over the file, and each change of it, with versions that count up', () =>
    withDesk(async (desk) => {
      await desk.save({ mode: 'ReadOnly' });
      await desk.start();
      await desk.look();
      await desk.save({ mode: 'ReadWrite' });
      await desk.look();
      expect(desk.documents).to.deep.equal([
        { version: 1, desired: { mode: 'ReadOnly' }, reported: {} },
        { version: 2, desired: { mode: 'ReadWrite' }, reported: {} },
      ]);
      expect(desk.problems).to.deep.equal([]);
    }));

  it('reports a file that is missing at the start, and waits for it', () =>
    withDesk(async (desk) => {
      await desk.start();
      await desk.look();
      expect(desk.problems).to.have.length(1);
      await desk.save({});
      await desk.look();
      expect(desk.documents).to.have.length(1);
    }));

  it('waits without a word for a file that may be missing', () =>
    withDesk(
      async (desk) => {
        await desk.start();
        await desk.look();
        expect(desk.problems).to.deep.equal([]);
        await desk.save({});
        await desk.look();
        expect(desk.documents).to.have.length(1);
        await desk.save('{');
        await desk.look();
        await desk.look();
        expect(desk.problems).to.have.length(1);
      },
      { mayBeMissing: true },
    ));

  it('sees a file that an editor replaces by rename', () =>
    withDesk(async (desk) => {
      await desk.save({ a: 1 });
      await desk.start();
      await writeFile(`${desk.settingsFile}~`, '{"a":2}');
      await rename(`${desk.settingsFile}~`, desk.settingsFile);
      await desk.look();
      expect(desk.documents.at(-1)?.desired).to.deep.equal({ a: 2 });
    }));

  it('takes a file that is there in pieces for a problem only when two looks agree', () =>
    withDesk(async (desk) => {
      await desk.save({ a: 1 });
      await desk.start();
      await desk.save('{"a":');
      await desk.look();
      await desk.save({ a: 2 });
      await desk.look();
      expect(desk.problems).to.deep.equal([]);
      await desk.save('{"a":');
      await desk.look();
      await desk.look();
      await desk.look();
      expect(desk.problems.map(({ path }) => path)).to.deep.equal(['']);
      expect(desk.documents.map(({ version }) => version)).to.deep.equal([1, 2]);
    }));

  it('hands over the same document again once a problem with the file is mended', () =>
    withDesk(async (desk) => {
      await desk.save({ a: 1 });
      await desk.start();
      await rm(desk.settingsFile);
      await desk.look();
      await desk.look();
      await desk.save({ a: 1 });
      await desk.look();
      expect(desk.problems).to.have.length(1);
      expect(desk.documents.map(({ version }) => version)).to.deep.equal([1, 2]);
    }));

  it('reports JSON that is not an object, and a file that cannot be read', () =>
    withDesk(async (desk) => {
      await desk.save([1]);
      await desk.start();
      await rm(desk.settingsFile);
      await mkdir(desk.settingsFile);
      await desk.look();
      await desk.look();
      expect(desk.problems).to.have.length(2);
    }));

  it('keeps reported properties over restarts, one file, merged', () =>
    withDesk(async (desk) => {
      await desk.save({});
      await Promise.all([desk.twin.report({ a: 1, b: { c: 2 } }), desk.twin.report({ a: null, b: { d: 3 } })]);
      expect(JSON.parse(await readFile(desk.reportedFile, 'utf8'))).to.deep.equal({ b: { c: 2, d: 3 } });
      const next = desk.open();
      const reported = new Promise((resolve) => next.onDesired((document) => resolve(document.reported)));
      next.start();
      expect(await reported).to.deep.equal({ b: { c: 2, d: 3 } });
      await next.close();
      expect((await readdir(desk.directory)).sort()).to.deep.equal(['reported.json', 'settings.json']);
    }));

  it('report() rejects where the file cannot be written, and works again later', () =>
    withDesk(async (desk) => {
      await mkdir(join(desk.reportedFile, 'in-the-way'), { recursive: true });
      const failed = await desk.twin.report({ a: 1 }).then(
        () => undefined,
        (error: unknown) => (error as NodeJS.ErrnoException).code,
      );
      expect(failed).to.be.oneOf(['EISDIR', 'ENOTEMPTY', 'EEXIST']);
      await rm(desk.reportedFile, { recursive: true });
      await desk.twin.report({ b: 2 });
      expect(JSON.parse(await readFile(desk.reportedFile, 'utf8'))).to.deep.equal({ b: 2 });
    }));

  it('invoke() calls a method, 404 for an unknown one, 500 for one that throws', () =>
    withDesk(async (desk) => {
      desk.twin.onMethod('status', (payload) => Promise.resolve({ status: 200, payload }));
      desk.twin.onMethod('broken', () => {
        throw new Error('broken');
      });
      expect(await desk.twin.invoke('status', { a: 1 })).to.deep.equal({ status: 200, payload: { a: 1 } });
      expect((await desk.twin.invoke('nothing', null)).status).to.equal(404);
      expect((await desk.twin.invoke('broken', null)).status).to.equal(500);
    }));
});
