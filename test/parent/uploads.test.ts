import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { partBytes } from '../../modules/registry/src/parent/upload.ts';
import { repository } from '../helpers/names.ts';
import { patiently } from '../sync/patiently.ts';
import { answerError, failureOf, withParent, type Seen } from './scripted-registry.ts';

const plant = repository('plant/hello');
const bytes = randomBytes(partBytes + 1000);
const blob = { digest: digestOf(bytes), size: bytes.length };
const session = '/v2/plant/hello/blobs/uploads/1';

async function* content(...pieces: Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

/** One upload session as a strict registry keeps it: its location has a query, parts have their place. */
class UploadRegistry {
  held = Buffer.alloc(0);
  committed: Buffer | undefined;
  /** Called first; true: it has answered, or cut the line. */
  interfere: (seen: Seen, response: ServerResponse) => boolean = () => false;
  /** A registry behind a proxy, telling its own address. */
  base = '';

  readonly script = (seen: Seen, response: ServerResponse): void => {
    if (this.interfere(seen, response)) return;
    const { method, url, headers, body } = seen;
    if (method === 'HEAD') response.writeHead(this.committed ? 200 : 404).end();
    else if (method === 'POST') response.writeHead(202, this.#where()).end();
    else if (url.pathname !== session || url.searchParams.get('_state') !== 'a=') response.writeHead(404).end();
    else if (method === 'GET') response.writeHead(204, this.#where()).end();
    else if (method === 'DELETE') response.writeHead(204).end();
    else if (method === 'PATCH' && headers['content-range'] === this.#range(body)) {
      this.take(body);
      response.writeHead(202, this.#where()).end();
    } else if (method === 'PATCH') response.writeHead(416).end();
    else if (digestOf(this.held) === url.searchParams.get('digest')) {
      this.committed = this.held;
      response.writeHead(201).end();
    } else answerError(response, 400, 'DIGEST_INVALID');
  };

  take(body: Buffer): void {
    this.held = Buffer.concat([this.held, body]);
  }

  #where(): Record<string, string> {
    return {
      location: `${this.base}${session}?_state=a%3D`,
      range: `0-${Math.max(0, this.held.length - 1)}`,
    };
  }

  #range(body: Buffer): string {
    return `${this.held.length}-${this.held.length + body.length - 1}`;
  }
}

describe('beginBlob()', () => {
  let registry: UploadRegistry;
  beforeEach(() => (registry = new UploadRegistry()));

  it('sends parts that state their place, and keeps the query of the location', async () => {
    await withParent(registry.script, async ({ parent, seen }) => {
      const upload = await parent.beginBlob(plant, blob);
      await upload.append(content(bytes.subarray(0, 5), bytes.subarray(5)));
      expect(upload.offset).to.equal(bytes.length);
      await upload.commit(blob.digest);
      expect(registry.committed?.equals(bytes)).to.equal(true);
      const patches = seen.filter(({ method }) => method === 'PATCH');
      expect(patches.map(({ headers }) => headers['content-range'])).to.deep.equal([
        `0-${partBytes - 1}`,
        `${partBytes}-${bytes.length - 1}`,
      ]);
    });
  });

  it('lets a part go as its pace says, whole and with its length, and from the beginning when it is sent again', async () => {
    let [patches, granted] = [0, 0];
    registry.interfere = ({ method }, response) => {
      if (method !== 'PATCH' || ++patches > 1) return false;
      response.writeHead(503).end();
      return true;
    };
    await withParent(registry.script, async ({ parent, seen, clock }) => {
      const upload = await parent.beginBlob(plant, blob);
      upload.paceWith?.(async (sizeBytes) => {
        const pass = Math.min(sizeBytes, partBytes / 8);
        granted += pass;
        return pass;
      });
      await patiently(clock, upload.append(content(bytes)));
      await upload.commit(blob.digest);
      expect(registry.committed?.equals(bytes)).to.equal(true);
      expect(granted).to.equal(bytes.length + partBytes);
      const lengths = seen.filter(({ method }) => method === 'PATCH').map(({ headers }) => headers['content-length']);
      expect(lengths).to.deep.equal([partBytes, partBytes, 1000].map(String));
    });
  });

  it('stays at the parent when the location names another host', async () => {
    registry.base = 'http://registry.internal:5000';
    await withParent(registry.script, async ({ parent }) => {
      const upload = await parent.beginBlob(plant, blob);
      await upload.append(content(bytes));
      await upload.commit(blob.digest);
      expect(registry.committed?.equals(bytes)).to.equal(true);
    });
  });

  for (const [what, arrives] of [
    ['did not arrive', 0],
    ['arrived in part', 500],
    ['arrived, but its answer did not', Infinity],
  ] as const) {
    it(`asks how far it is and goes on after a cut, when the part ${what}`, async () => {
      let cuts = 0;
      registry.interfere = ({ method, body }, response) => {
        if (method !== 'PATCH' || cuts > 0) return false;
        cuts += 1;
        registry.take(body.subarray(0, arrives));
        response.socket?.destroy();
        return true;
      };
      await withParent(registry.script, async ({ parent, clock, lines }) => {
        const upload = await parent.beginBlob(plant, blob);
        const appended = upload.append(content(bytes));
        await clock.sleeping();
        await clock.advance(500);
        await appended;
        await upload.commit(blob.digest);
        expect(registry.committed?.equals(bytes)).to.equal(true);
        expect(lines.filter((line) => line.startsWith('GET'))).to.have.length(1);
      });
    });
  }

  it('tells the offset that is sure after a failure, and skips what the parent has beyond it', async () => {
    const small = { digest: digestOf(bytes.subarray(0, 1000)), size: 1000 };
    registry.interfere = ({ method, body }, response) => {
      if (method !== 'PATCH') return false;
      registry.take(body.subarray(0, 300));
      response.writeHead(400).end();
      return true;
    };
    await withParent(registry.script, async ({ parent }) => {
      const upload = await parent.beginBlob(plant, small);
      expect(await failureOf(upload.append(content(bytes.subarray(0, 1000))))).to.include({ failure: 'refused' });
      registry.interfere = () => false;
      const pieces = [bytes.subarray(upload.offset, 200), bytes.subarray(200, 1000)];
      for (const piece of pieces) await upload.append(content(piece));
      await upload.commit(small.digest);
      expect(registry.committed?.equals(bytes.subarray(0, 1000))).to.equal(true);
    });
  });

  it('asks again where a part is refused as out of order, since bytes it had given up arrived after all', async () => {
    let patches = 0;
    registry.interfere = ({ method, body }) => {
      if (method === 'PATCH' && ++patches === 1) registry.take(body.subarray(0, 500)); // and then it is out of order
      return false;
    };
    await withParent(registry.script, async ({ parent, lines }) => {
      const upload = await parent.beginBlob(plant, blob);
      await upload.append(content(bytes));
      await upload.commit(blob.digest);
      expect(registry.committed?.equals(bytes)).to.equal(true);
      expect(lines.map((line) => line.split(' ')[0])).to.deep.equal(['POST', 'PATCH', 'GET', 'PATCH', 'PATCH', 'PUT']);
    });
  });

  it('is refused where a part stays out of order, whatever the session tells', async () => {
    registry.interfere = ({ method }, response) => {
      if (method === 'PATCH') response.writeHead(416).end();
      return method === 'PATCH';
    };
    await withParent(registry.script, async ({ parent, lines }) => {
      const upload = await parent.beginBlob(plant, blob);
      expect(await failureOf(upload.append(content(bytes)))).to.include({ failure: 'refused', status: 416 });
      expect(lines.filter((line) => line.startsWith('PATCH'))).to.have.length(1);
    });
  });

  it('goes on with a released upload, from where the parent is', async () => {
    await withParent(registry.script, async ({ parent, lines }) => {
      const first = await parent.beginBlob(plant, blob);
      await first.append(content(bytes.subarray(0, 700)));
      await first.release();
      registry.take(bytes.subarray(700, 800));
      const second = await parent.beginBlob(plant, blob);
      expect(second.offset).to.equal(800);
      await second.append(content(bytes.subarray(800)));
      await second.commit(blob.digest);
      expect(registry.committed?.equals(bytes)).to.equal(true);
      expect(lines.filter((line) => line.startsWith('POST'))).to.have.length(1);
    });
  });

  it('begins anew where the parent has forgotten a released upload', async () => {
    await withParent(registry.script, async ({ parent }) => {
      const first = await parent.beginBlob(plant, blob);
      await first.append(content(bytes.subarray(0, 700)));
      await first.release();
      registry.interfere = ({ method }, response) => {
        if (method === 'GET') response.writeHead(404).end();
        return method === 'GET';
      };
      registry.held = Buffer.alloc(0);
      expect((await parent.beginBlob(plant, blob)).offset).to.equal(0);
    });
  });

  it('is broken when the session loses bytes', async () => {
    await withParent(registry.script, async ({ parent }) => {
      const upload = await parent.beginBlob(plant, blob);
      registry.interfere = ({ method }, response) => {
        if (method === 'PATCH') response.writeHead(202, { location: session, range: '0-10' }).end();
        return method === 'PATCH';
      };
      expect(await failureOf(upload.append(content(bytes)))).to.include({ failure: 'broken' });
    });
  });

  it('stops in the middle of a part when the signal fires', async () => {
    const abort = new AbortController();
    registry.interfere = ({ method }) => {
      if (method === 'PATCH') abort.abort(new Error('stop'));
      return method === 'PATCH';
    };
    await withParent(registry.script, async ({ parent }) => {
      const upload = await parent.beginBlob(plant, blob);
      const outcome = upload.append(content(bytes), { signal: abort.signal }).catch((error: unknown) => error);
      expect(await outcome).to.equal(abort.signal.reason);
      expect(upload.offset).to.equal(0);
    });
  });

  it('begins a sha512 upload as one', async () => {
    const digest = digestOf(bytes, 'sha512');
    await withParent(registry.script, async ({ parent, lines }) => {
      await parent.beginBlob(plant, { digest, size: 1 });
      expect(lines).to.deep.equal(['POST /v2/plant/hello/blobs/uploads/?digest-algorithm=sha512']);
    });
  });
});

describe('commit()', () => {
  let registry: UploadRegistry;
  beforeEach(() => (registry = new UploadRegistry()));

  it('is done when the answer was lost but the blob is there', async () => {
    registry.interfere = ({ method }, response) => {
      if (method !== 'PUT') return false;
      if (registry.committed) response.writeHead(404).end();
      else response.socket?.destroy();
      registry.committed = registry.held;
      return true;
    };
    await withParent(registry.script, async ({ parent, clock }) => {
      const upload = await parent.beginBlob(plant, blob);
      await upload.append(content(bytes));
      const committed = upload.commit(blob.digest);
      await clock.sleeping();
      await clock.advance(500);
      await committed;
    });
  });

  it('fails when the session is gone and the blob is not there', async () => {
    registry.interfere = ({ method }, response) => {
      if (method === 'PUT') response.writeHead(404).end();
      return method === 'PUT';
    };
    await withParent(registry.script, async ({ parent }) => {
      const upload = await parent.beginBlob(plant, blob);
      expect(await failureOf(upload.commit(blob.digest))).to.include({ failure: 'broken' });
    });
  });

  it('discards an upload that has another digest', async () => {
    await withParent(registry.script, async ({ parent, lines }) => {
      const upload = await parent.beginBlob(plant, blob);
      await upload.append(content(bytes.subarray(1)));
      expect(await failureOf(upload.commit(blob.digest))).to.include({ failure: 'refused', status: 400 });
      expect(lines.at(-1)).to.match(/^DELETE /);
    });
  });
});

describe('mountBlob()', () => {
  const uploads = '/v2/plant/hello/blobs/uploads/';
  const mount = `mount=${encodeURIComponent(blob.digest)}`;

  it('is false for 202, and the blob is sent in the session that was opened', async () => {
    const registry = new UploadRegistry();
    await withParent(registry.script, async ({ parent, lines }) => {
      expect(await parent.mountBlob(plant, blob.digest)).to.equal(false);
      const upload = await parent.beginBlob(plant, blob);
      await upload.append(content(bytes));
      await upload.commit(blob.digest);
      expect(registry.committed?.equals(bytes)).to.equal(true);
      expect(lines.map((line) => line.split(' ')[0])).to.deep.equal(['POST', 'PATCH', 'PATCH', 'PUT']);
      expect(lines[0]).to.equal(`POST ${uploads}?${mount}`);
    });
  });

  it('is false, without a question, where an upload that holds bytes can go on', async () => {
    const registry = new UploadRegistry();
    await withParent(registry.script, async ({ parent, lines }) => {
      const first = await parent.beginBlob(plant, blob);
      await first.append(content(bytes.subarray(0, 700)));
      await first.release();
      expect(await parent.mountBlob(plant, blob.digest)).to.equal(false);
      expect((await parent.beginBlob(plant, blob)).offset).to.equal(700);
      expect(lines.filter((line) => line.startsWith('POST'))).to.have.length(1);
    });
  });

  it('names the repository where the blob was last seen, and asks for both scopes', async () => {
    const registry = new UploadRegistry();
    registry.interfere = ({ method, url, headers }, response) => {
      const isToken = url.pathname === '/token';
      const challenge = { 'www-authenticate': `Bearer realm="http://${headers.host ?? ''}/token"` };
      if (isToken) response.end('{"token":"t"}');
      else if (headers.authorization === undefined) response.writeHead(401, challenge).end();
      else response.writeHead(method === 'POST' ? 201 : 200).end();
      return true;
    };
    await withParent(registry.script, async ({ parent, seen }) => {
      await parent.hasBlob(repository('other'), blob.digest);
      expect(await parent.mountBlob(plant, blob.digest)).to.equal(true);
      expect(seen.at(-1)?.line).to.equal(`POST ${uploads}?${mount}&from=other`);
      expect(seen.at(-2)?.url.searchParams.getAll('scope')).to.deep.equal([
        'repository:plant/hello:pull,push',
        'repository:other:pull',
      ]);
    });
  });
});
