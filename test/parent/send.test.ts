import { expect } from 'chai';
import type { ServerResponse } from 'node:http';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { freePort } from '../helpers/free-port.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { answerError, basic, failureOf, startScriptedRegistry, withParent, type Script } from './scripted-registry.ts';

const plant = repository('plant/hello');
const digest = digestOf(Buffer.from('x'));

/** Answers in turn, the last one for ever. */
function inTurn(...answers: ((response: ServerResponse) => void)[]): Script {
  let count = 0;
  return (_, response) => {
    answers[Math.min(count, answers.length - 1)]?.(response);
    count += 1;
  };
}

const ok = (response: ServerResponse): unknown => response.writeHead(200).end();
const status =
  (code: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): unknown =>
    response.writeHead(code, headers).end();
const cut = (response: ServerResponse): unknown => response.socket?.destroy();

describe('createSender() through connectParent()', () => {
  for (const [what, answer] of [
    ['a 503', status(503)],
    ['a cut connection', cut],
    ['a 429 without Retry-After', status(429)],
  ] as const) {
    it(`asks again after ${what}, after half a second at most`, async () => {
      await withParent(inTurn(answer, ok), async ({ parent, clock, lines }) => {
        const pinged = parent.ping();
        await clock.sleeping();
        expect(clock.nextWait).to.be.within(250, 500);
        await clock.advance(500);
        await pinged;
        expect(lines).to.have.length(2);
      });
    });
  }

  for (const retryAfter of ['20', 'Tue, 24 Nov 2026 09:00:20 GMT']) {
    it(`waits as long as Retry-After: ${retryAfter} says`, async () => {
      await withParent(inTurn(status(429, { 'retry-after': retryAfter }), ok), async ({ parent, clock, lines }) => {
        const pinged = parent.ping();
        await clock.sleeping();
        expect(clock.nextWait).to.equal(20_000);
        await clock.advance(19_999);
        expect(lines).to.have.length(1);
        await clock.advance(1);
        await pinged;
      });
    });
  }

  it('passes on a Retry-After that is too long to wait for', async () => {
    await withParent(inTurn(status(429, { 'retry-after': '3600' })), async ({ parent, lines }) => {
      expect(await failureOf(parent.ping())).to.include({ failure: 'throttled', retryAfterSeconds: 3600, status: 429 });
      expect(lines).to.have.length(1);
    });
  });

  for (const [code, failure] of [
    [500, 'broken'],
    [502, 'unreachable'],
    [503, 'broken'],
    [504, 'unreachable'],
  ] as const) {
    it(`gives up on a parent that stays at ${code}, and calls it ${failure}`, async () => {
      await withParent(inTurn(status(code)), async ({ parent, clock, lines }) => {
        const failed = failureOf(parent.ping());
        for (let count = 0; count < 3; count += 1) {
          await clock.sleeping();
          await clock.advance(clock.nextWait ?? 0);
        }
        expect(await failed).to.include({ failure, status: code });
        expect(lines).to.have.length(4);
      });
    });
  }

  for (const [code, failure] of [
    [400, 'refused'],
    [403, 'denied'],
    [404, 'refused'],
    [405, 'denied'],
    [413, 'refused'],
    [501, 'broken'],
    [507, 'broken'],
    [204, 'broken'],
  ] as const) {
    it(`takes ${code} for ${failure} and does not ask again`, async () => {
      await withParent(inTurn(status(code)), async ({ parent, lines }) => {
        expect(await failureOf(parent.ping())).to.include({ failure, status: code });
        expect(lines).to.have.length(1);
      });
    });
  }

  it('tells the code and the message of the parent, on one line', async () => {
    await withParent(
      (_, response) => answerError(response, 400, 'NAME_INVALID', 'no\nsuch name'),
      async ({ parent }) => {
        const { message } = await failureOf(parent.ping());
        expect(message).to.include('NAME_INVALID no such name').and.not.include('\n');
      },
    );
  });

  it('stops waiting when the signal fires', async () => {
    await withParent(inTurn(status(503)), async ({ parent, clock }) => {
      const abort = new AbortController();
      const pinged = parent.ping({ signal: abort.signal }).catch((error: unknown) => error);
      await clock.sleeping();
      const reason = new Error('the window closed');
      abort.abort(reason);
      expect(await pinged).to.equal(reason);
      expect(clock.nextWait).to.equal(undefined);
    });
  });

  it('stops waiting when it is closed', async () => {
    await withParent(inTurn(status(503)), async ({ parent, clock }) => {
      const pinged = parent.ping().then(
        () => 'answered',
        () => 'failed',
      );
      await clock.sleeping();
      await parent.close();
      expect(await pinged).to.equal('failed');
    });
  });

  it('ends an answer that does not begin, and one that stalls', async () => {
    const patience = { attempts: 1, answerTimeoutMs: 30, idleTimeoutMs: 30 };
    const script: Script = ({ url }, response) => {
      if (url.pathname !== '/v2/') response.writeHead(200, { 'content-length': 10 }).write('half');
    };
    await withParent(
      script,
      async ({ parent }) => {
        expect(await failureOf(parent.ping())).to.include({ failure: 'unreachable' });
        expect(await failureOf(parent.findManifest(plant, digest))).to.include({ failure: 'unreachable' });
      },
      { patience },
    );
  });

  describe('redirects', () => {
    it('do not take Authorization to another port, and are not asked for it', async () => {
      const storage = await startScriptedRegistry((_, response) => {
        response.end('content');
      });
      const script: Script = ({ headers }, response) => {
        if (headers.authorization === undefined) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
        else response.writeHead(307, { location: `http://${storage.endpoint}/blob?signature=s` }).end();
      };
      try {
        await withParent(script, async ({ parent }) => {
          const content = await parent.readBlob(plant, digest);
          expect(String(Buffer.concat((await content!.toArray()) as Buffer[]))).to.equal('content');
          expect(storage.lines).to.deep.equal(['GET /blob?signature=s']);
          expect(storage.seen[0]?.headers).to.not.have.property('authorization');
        });
      } finally {
        await storage.close();
      }
    });

    it('are followed with Authorization at the same host, relative ones too', async () => {
      const script: Script = ({ url, headers }, response) => {
        if (headers.authorization === undefined) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
        else if (url.pathname === '/v2/') response.writeHead(302, { location: 'elsewhere' }).end();
        else response.writeHead(headers.authorization === basic ? 200 : 403).end();
      };
      await withParent(script, async ({ parent, lines }) => {
        await parent.ping();
        expect(lines).to.deep.equal(['GET /v2/', 'GET /v2/', 'GET /v2/elsewhere']);
      });
    });

    it('are not followed for ever', async () => {
      await withParent(inTurn(status(307, { location: '/v2/' })), async ({ parent, lines }) => {
        expect(await failureOf(parent.ping())).to.include({ failure: 'broken' });
        expect(lines).to.have.length(6);
      });
    });

    it('that end in a refusal by another host are broken, not a matter of our rights; no signature is told', async () => {
      const storage = await startScriptedRegistry((_, response) => {
        response.writeHead(403).end();
      });
      try {
        const script = inTurn(status(307, { location: `http://${storage.endpoint}/blob?signature=s` }));
        await withParent(script, async ({ parent }) => {
          const failure = await failureOf(parent.readBlob(plant, digest));
          expect(failure).to.include({ failure: 'broken', status: 403 });
          expect(failure.message).to.not.include('signature');
        });
      } finally {
        await storage.close();
      }
    });
  });

  it('says that nobody listens', async () => {
    const endpoint = `127.0.0.1:${await freePort()}`;
    const patience = { attempts: 1 };
    const parent = connectParent({
      endpoint,
      protocol: 'http',
      clock: new ManualClock(),
      log: new RecordingLog(),
      patience,
    });
    try {
      const failure = await failureOf(parent.ping());
      expect(failure).to.include({ failure: 'unreachable', status: undefined });
      expect(failure.message).to.include(`${endpoint} refused the connection`);
    } finally {
      await parent.close();
    }
  });
});
