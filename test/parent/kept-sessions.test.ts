import { expect } from 'chai';
import { MemoryLevel } from 'memory-level';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { createKeptSessions } from '../../modules/registry/src/parent/kept-sessions.ts';
import type { ParentRegistry } from '../../modules/registry/src/parent/parent.ts';
import { partBytes } from '../../modules/registry/src/parent/upload.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { withTemporaryDirectory } from '../helpers/temporary-directory.ts';
import { withParent, type Scene, type Seen } from './scripted-registry.ts';

const plant = repository('plant/hello');
const bytes = randomBytes(2 * partBytes + 1000);
const blob = { digest: digestOf(bytes), size: bytes.length };
const uploads = '/v2/plant/hello/blobs/uploads';
const dayMs = 24 * 3_600_000;

async function* content(...pieces: Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

/** Upload sessions as docker-registry and ACR keep them: each answer names a location with other state in its query. */
class StatefulRegistry {
  readonly sessions = new Map<string, { held: Buffer; state: number }>();
  committed: Buffer | undefined;
  /** Before each location. */
  base = '';
  /** Of requests for a session. */
  readonly refused: string[] = [];

  readonly script = ({ line, method, url, body }: Seen, response: ServerResponse): unknown => {
    if (method === 'HEAD') return response.writeHead(this.committed ? 200 : 404).end();
    if (method === 'POST') {
      const id = String(this.sessions.size + 1);
      this.sessions.set(id, { held: Buffer.alloc(0), state: 0 });
      return response.writeHead(202, this.#where(id)).end();
    }
    const id = url.pathname.slice(uploads.length + 1);
    const session = this.sessions.get(id);
    if (!session || url.searchParams.get('_state') !== String(session.state)) {
      this.refused.push(line);
      return response.writeHead(404).end();
    }
    if (method === 'PATCH') {
      session.held = Buffer.concat([session.held, body]);
      session.state += 1;
    } else if (method !== 'GET') {
      this.sessions.delete(id);
      if (method === 'PUT') this.committed = session.held;
      return response.writeHead(method === 'PUT' ? 201 : 204).end();
    }
    return response.writeHead(method === 'PATCH' ? 202 : 204, this.#where(id)).end();
  };

  #where(id: string): Record<string, string> {
    const { held, state } = this.sessions.get(id)!;
    return { location: `${this.base}${uploads}/${id}?_state=${state}`, range: `0-${Math.max(0, held.length - 1)}` };
  }
}

/** Records of a real store; each client is another connection to the parent, as after a restart. */
describe('an upload that was let go', () => {
  let registry: StatefulRegistry;
  let store: Store;
  /** The key of each. */
  let writes: string[];

  function test(name: string, body: () => Promise<void>): void {
    it(name, () =>
      withTemporaryDirectory(async (directory) => {
        registry = new StatefulRegistry();
        const index = new MemoryLevel();
        store = await openStore({ directory, clock: new ManualClock(), log: new RecordingLog(), index });
        writes = [];
        await body();
        await store.close();
      }),
    );
  }

  type Connect = (use: (parent: ParentRegistry) => Promise<unknown>) => Promise<void>;

  /** Gives `body` a parent at one address, and one client of it after the other. */
  async function atOneParent(body: (connect: Connect, scene: Scene) => Promise<unknown>): Promise<void> {
    await withParent(registry.script, (scene) =>
      body(async (use) => {
        const { endpoint, clock, log } = scene;
        const parent = connectParent({ endpoint, protocol: 'http', clock, log, records: recorded() });
        try {
          await use(parent);
        } finally {
          await parent.close();
        }
      }, scene),
    );
  }

  const recorded = () => ({
    get: (key: string) => store.records.get(key),
    put(key: string, value: unknown) {
      writes.push(key);
      return store.records.put(key, value);
    },
  });

  async function sendFirstPart(parent: ParentRegistry): Promise<void> {
    const upload = await parent.beginBlob(plant, blob);
    await upload.append(content(bytes.subarray(0, partBytes)));
    await upload.release();
  }

  async function sendRest(parent: ParentRegistry): Promise<number> {
    const upload = await parent.beginBlob(plant, blob);
    const { offset } = upload;
    await upload.append(content(bytes.subarray(offset)));
    await upload.commit(blob.digest);
    expect(registry.committed?.equals(bytes)).to.equal(true);
    return offset;
  }

  test('is gone on with by the next connection, at the last location that the parent gave', () =>
    atOneParent(async (connect, { lines }) => {
      await connect(sendFirstPart);
      await connect(async (parent) => {
        expect(await parent.mountBlob(plant, blob.digest)).to.equal(false);
        expect(await sendRest(parent)).to.equal(partBytes);
      });
      expect(lines.filter((line) => line.startsWith('POST'))).to.have.length(1);
      expect(registry.refused).to.deep.equal([]);
      expect(await store.records.get('parent-uploads')).to.deep.equal([]);
    }));

  test('is gone on with where a process has ended without a word', () =>
    atOneParent(async (connect) => {
      await connect(async (parent) => {
        const upload = await parent.beginBlob(plant, blob);
        await upload.append(content(bytes.subarray(0, 2 * partBytes)));
        // Written down before the second part went out, at the location that the first has led to.
        expect(await store.records.get('parent-uploads')).to.have.nested.property('[0].offset', partBytes);
      });
    }));

  test('costs one write a part and one at its end, and none where the blob is one part', () =>
    atOneParent(async (connect) => {
      await connect(sendRest);
      expect(writes.length).to.be.within(1, 4);
      writes = [];
      await connect(async (parent) => {
        const one = { digest: digestOf(bytes.subarray(0, 1000)), size: 1000 };
        const upload = await parent.beginBlob(plant, one);
        await upload.append(content(bytes.subarray(0, 1000)));
        await upload.commit(one.digest);
      });
      expect(writes).to.deep.equal([]);
    }));

  test('belongs to one transfer at a time', () =>
    atOneParent(async (connect) => {
      await connect(async (parent) => {
        await sendFirstPart(parent);
        const [first, second] = await Promise.all([parent.beginBlob(plant, blob), parent.beginBlob(plant, blob)]);
        expect([first.offset, second.offset].sort()).to.deep.equal([0, partBytes]);
      });
    }));

  test('stays where nobody could tell how far it is', () =>
    atOneParent(async (connect) => {
      await connect(sendFirstPart);
      await connect(async (parent) => {
        const abort = new AbortController();
        const asked = parent.beginBlob(plant, blob, { signal: abort.signal });
        abort.abort(new Error('stop'));
        expect(await asked.catch((error: unknown) => error)).to.equal(abort.signal.reason);
      });
      await connect(async (parent) => expect(await sendRest(parent)).to.equal(partBytes));
    }));

  test('is forgotten two weeks after', () =>
    atOneParent(async (connect, { clock, lines }) => {
      await connect(sendFirstPart);
      await clock.advance(14 * dayMs);
      await connect(async (parent) => expect(await sendRest(parent)).to.equal(0));
      expect(lines.some((line) => line.startsWith('GET'))).to.equal(false);
    }));

  test('is begun anew where the parent says that it is none', () =>
    atOneParent(async (connect) => {
      await connect(sendFirstPart);
      registry.sessions.clear();
      await connect(async (parent) => expect(await sendRest(parent)).to.equal(0));
      expect(registry.refused).to.have.length(1);
    }));

  test('is cancelled at the parent once nobody wants it, and forgotten', () =>
    atOneParent(async (connect, { lines }) => {
      await connect(sendFirstPart);
      await connect(async (parent) => {
        await parent.dropUploads();
        await parent.dropUploads();
      });
      expect(lines.filter((line) => line.startsWith('DELETE'))).to.have.length(1);
      expect(registry.sessions.size).to.equal(0);
      expect(await store.records.get('parent-uploads')).to.deep.equal([]);
    }));

  test('is forgotten though the parent cannot be told', () =>
    atOneParent(async (connect) => {
      await connect(sendFirstPart);
      registry.sessions.clear();
      await connect((parent) => parent.dropUploads());
      expect(await store.records.get('parent-uploads')).to.deep.equal([]);
    }));

  for (const [what, base, offset] of [
    ['is gone on with at another address, where its location named none', '', partBytes],
    ['is not asked for at another address, where its location named one', 'http://registry.internal:5000', 0],
  ] as const) {
    test(what, async () => {
      registry.base = base;
      await atOneParent((connect) => connect(sendFirstPart));
      await atOneParent(async (connect, { lines }) => {
        await connect(async (parent) => expect(await sendRest(parent)).to.equal(offset));
        expect(lines.some((line) => line.startsWith('GET'))).to.equal(offset > 0);
      });
    });
  }

  test('never leads credentials to the host that its location names', () =>
    withParent(
      () => expect.fail('this host is not the parent'),
      async (foreign) => {
        registry.base = `http://${foreign.endpoint}`;
        await atOneParent(async (connect) => {
          await connect(sendFirstPart);
          await connect(sendRest);
        });
        expect(foreign.seen).to.deep.equal([]);
      },
    ));

  for (const [what, rows] of [
    ['nothing that can be read', 'nonsense'],
    [
      'rows that cannot be read',
      [
        null,
        1,
        { repository: 'plant/hello' },
        { ...{ repository: 'plant/hello', digest: blob.digest, offset: 1 }, location: 'http://', at: 'now' },
      ],
    ],
  ] as const) {
    test(`begins anew over ${what}`, async () => {
      await store.records.put('parent-uploads', rows);
      await atOneParent((connect) => connect(async (parent) => expect(await sendRest(parent)).to.equal(0)));
    });
  }

  test('costs no transfer where it cannot be written down', async () => {
    const log = new RecordingLog();
    const full = { get: () => Promise.resolve(undefined), put: () => Promise.reject(new Error('no room')) };
    await withParent(registry.script, ({ parent }) => sendRest(parent), { records: full, log });
    expect(log.lines.map(({ level }) => level)).to.include('warn');
  });

  test('is left to expire, when there are 256 others', () =>
    atOneParent(async (connect) => {
      await connect(sendFirstPart);
      await connect(async (parent) => {
        for (let count = 0; count < 256; count += 1) {
          const piece = Buffer.from(`blob ${count}`);
          const upload = await parent.beginBlob(plant, { digest: digestOf(piece), size: 100 });
          await upload.append(content(piece));
          await upload.release();
        }
      });
      const rows = (await store.records.get('parent-uploads')) as unknown[];
      expect(rows).to.have.length(256);
      await connect(async (parent) => expect(await sendRest(parent)).to.equal(0));
    }));

  test('is written down, whenever it comes while another is', async () => {
    const clock = new ManualClock();
    for (let turns = 0; turns < 12; turns += 1) {
      let rows: unknown = [];
      const records = { get: async () => undefined, put: async (_: string, value: unknown) => void (rows = value) };
      const parent = new URL('http://parent.example');
      const kept = createKeptSessions({ records, parent, clock, log: new RecordingLog() });
      const session = { location: new URL('/1', parent), offset: 1, isRelative: true, isFresh: false };
      kept.letGo({ repository: plant, digest: blob.digest }, session, { isEmpty: false });
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      kept.letGo({ repository: repository('other'), digest: blob.digest }, session, { isEmpty: false });
      await kept.written();
      expect(rows, `after ${turns} turns`).to.have.length(2);
    }
  });

  test('that holds nothing is not written down', () =>
    atOneParent(async (connect) => {
      await connect(async (parent) => {
        const upload = await parent.beginBlob(plant, blob);
        await upload.release();
      });
      expect(writes).to.deep.equal([]);
    }));
});
