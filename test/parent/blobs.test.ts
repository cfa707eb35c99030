import { expect } from 'chai';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { ParentError } from '../../modules/registry/src/parent/parent.ts';
import { repository } from '../helpers/names.ts';
import { failureOf, withParent, type Script } from './scripted-registry.ts';

const plant = repository('plant/hello');
const bytes = Buffer.from('0123456789');
const digest = digestOf(bytes);

async function text(content: Readable | undefined): Promise<string> {
  return String(Buffer.concat((await content!.toArray()) as Buffer[]));
}

/** Answers a blob GET with `status`, `headers` and the whole of `body`. */
function answering(status: number, headers: Record<string, string | number>, body: string | Buffer = ''): Script {
  return (_, response) => {
    response.writeHead(status, headers).end(body);
  };
}

describe('readBlob()', () => {
  it('asks for the rest, and gives it', async () => {
    const script = answering(206, { 'content-range': 'bytes 4-9/10' }, bytes.subarray(4));
    await withParent(script, async ({ parent, seen }) => {
      expect(await text(await parent.readBlob(plant, digest, { offset: 4 }))).to.equal('456789');
      expect(seen[0]?.headers.range).to.equal('bytes=4-');
    });
  });

  it('skips what a server without ranges sends again', async () => {
    const script: Script = async (_, response) => {
      for (const byte of bytes) {
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    };
    await withParent(script, async ({ parent }) => {
      expect(await text(await parent.readBlob(plant, digest, { offset: 4 }))).to.equal('456789');
    });
  });

  it('is undefined for 404', async () => {
    await withParent(answering(404, {}), async ({ parent }) => {
      expect(await parent.readBlob(plant, digest)).to.equal(undefined);
      expect(await parent.hasBlob(plant, digest)).to.equal(false);
    });
  });

  it('is empty at the end of the blob, also where 416 does not tell the size', async () => {
    await withParent(answering(416, { 'content-range': 'bytes */10' }), async ({ parent }) => {
      expect(await text(await parent.readBlob(plant, digest, { offset: 10 }))).to.equal('');
      expect(await failureOf(parent.readBlob(plant, digest, { offset: 11 }))).to.include({ failure: 'broken' });
    });
    const silent: Script = ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(200, { 'content-length': 10 }).end();
      else response.writeHead(416).end();
    };
    await withParent(silent, async ({ parent }) => {
      expect(await text(await parent.readBlob(plant, digest, { offset: 10 }))).to.equal('');
    });
  });

  for (const contentRange of ['bytes 3-9/10', 'bytes 5-9/10', 'nonsense']) {
    it(`refuses ${contentRange} for bytes=4-`, async () => {
      await withParent(answering(206, { 'content-range': contentRange }, 'xxxxx'), async ({ parent }) => {
        expect(await failureOf(parent.readBlob(plant, digest, { offset: 4 }))).to.include({ failure: 'broken' });
      });
    });
  }

  for (const [what, script] of [
    [
      'a body that is cut',
      (_, response) => {
        response.writeHead(200, { 'content-length': 10 });
        response.write('01234', () => response.destroy());
      },
    ],
    [
      'a chunked body that is cut',
      (_, response) => {
        response.write('01234', () => response.destroy());
      },
    ],
    ['a part that ends early', answering(206, { 'content-range': 'bytes 4-6/10' }, '456')],
  ] as [string, Script][]) {
    it(`ends with an error after ${what}`, async () => {
      await withParent(script, async ({ parent }) => {
        const content = await parent.readBlob(plant, digest, { offset: what.startsWith('a part') ? 4 : 0 });
        expect(await failureOf(content!.toArray())).to.include({ failure: 'unreachable' });
      });
    });
  }

  it('gives what came before a cut to a reader who comes late, then the error', async () => {
    let cut: Promise<unknown> | undefined;
    const script: Script = async ({ method }, response) => {
      if (method === 'HEAD') {
        response.writeHead(200, { 'content-length': 10 }).end();
        return;
      }
      cut = once(response, 'close');
      response.writeHead(200, { 'content-length': 10 });
      for (const piece of ['01', '23', '45']) {
        await new Promise((resolve) => response.write(piece, resolve));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.destroy();
    };
    await withParent(script, async ({ parent }) => {
      const content = await parent.readBlob(plant, digest);
      const got: unknown[] = [];
      const reading = (async () => {
        for await (const chunk of content!) {
          got.push(chunk);
          await cut;
          await parent.statBlob(plant, digest); // by its answer, the cut is known here too
        }
      })();
      expect(await failureOf(reading)).to.include({ failure: 'unreachable' });
      expect(Buffer.concat(got as Buffer[]).toString()).to.equal('012345');
    });
  });

  it('lets the parent wait while nobody reads', async () => {
    const [piece, pieces] = [Buffer.alloc(1024 * 1024), 256];
    let sent = 0;
    function* content() {
      for (; sent < pieces; sent += 1) yield piece;
    }
    const script: Script = ({ method }, response) => {
      response.writeHead(200, { 'content-length': pieces * piece.length });
      if (method === 'HEAD') response.end();
      else Readable.from(content()).pipe(response);
    };
    await withParent(script, async ({ parent }) => {
      const unread = await parent.readBlob(plant, digest);
      for (let before = -1; before !== sent;) {
        before = sent;
        for (let count = 0; count < 20; count += 1) await parent.statBlob(plant, digest);
      }
      expect(sent).to.be.below(pieces / 4);
      unread!.destroy();
    });
  });

  it('is an error where a server without ranges ends before the offset', async () => {
    await withParent(answering(200, {}, '012'), async ({ parent }) => {
      const content = await parent.readBlob(plant, digest, { offset: 4 });
      expect(await failureOf(content!.toArray())).to.include({ failure: 'unreachable' });
    });
  });

  for (const how of ['the signal fires', 'the reader goes away', 'the client is closed']) {
    it(`frees the socket of a stalled body when ${how}`, async () => {
      let closed: Promise<unknown> | undefined;
      const script: Script = (_, response) => {
        closed = once(response, 'close');
        response.writeHead(200, { 'content-length': 10 }).write('01234');
      };
      await withParent(script, async ({ parent }) => {
        const abort = new AbortController();
        const content = await parent.readBlob(plant, digest, { signal: abort.signal });
        const iterator = content![Symbol.asyncIterator]();
        expect(String((await iterator.next()).value)).to.equal('01234');
        const reason = new Error('stop');
        const next = iterator.next().then(
          () => 'ended',
          (error: unknown) => error,
        );
        if (how === 'the signal fires') abort.abort(reason);
        else if (how === 'the reader goes away') content!.destroy();
        else await parent.close();
        await closed;
        const outcome = await next;
        if (how === 'the signal fires') expect(outcome).to.equal(reason);
        if (how === 'the client is closed') expect(outcome).to.be.instanceOf(ParentError);
      });
    });
  }
});
