import { expect } from 'chai';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { connect, TLSSocket } from 'node:tls';
import { startListeners, type Listeners } from '../../modules/registry/src/http/start-listeners.ts';
import { createEdgeCertificates } from '../helpers/edge-certificates.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

const log = new RecordingLog();
const hello: RequestListener = (_request, response) => response.end('hello');

async function withListeners(
  options: Partial<Parameters<typeof startListeners>[0]>,
  body: (listeners: Listeners) => Promise<void>,
): Promise<void> {
  const listeners = await startListeners({
    api: hello,
    httpPort: 0,
    httpsPort: 'off',
    bindAddress: '127.0.0.1',
    log,
    ...options,
  });
  try {
    await body(listeners);
  } finally {
    await listeners.close();
  }
}

async function get(port: number): Promise<string> {
  const request = httpRequest({ host: '127.0.0.1', port, agent: false });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return (await buffer(response)).toString();
}

async function getOverTls(options: {
  readonly port: number;
  readonly ca: string;
  readonly agent: HttpsAgent | false;
}): Promise<{ readonly body: string; readonly serialNumber: string; readonly socket: number | undefined }> {
  const request = httpsRequest({ host: '127.0.0.1', ...options });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const { socket } = response;
  if (!(socket instanceof TLSSocket)) throw new Error('this is no TLS connection');
  const { serialNumber } = socket.getPeerCertificate();
  return { body: (await buffer(response)).toString(), serialNumber, socket: socket.localPort };
}

describe('startListeners()', () => {
  it('opens what it is told to open', async () => {
    await withListeners({}, async ({ http, https }) => {
      expect(https).to.equal(undefined);
      expect(await get(http!.port)).to.equal('hello');
    });
    await withListeners({ httpPort: 'off' }, async ({ http }) => {
      expect(http).to.equal(undefined);
    });
  });

  it('opens HTTPS with its first certificate, and changes to the next one while connections stay', async () => {
    const certificates = await createEdgeCertificates();
    const ca = certificates.trustBundle;
    await withListeners({ httpsPort: 0 }, async (listeners) => {
      expect(listeners.https).to.equal(undefined);
      await listeners.secure(await certificates.issueServer(['127.0.0.1']));
      const { port } = listeners.https!;
      const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
      const first = await getOverTls({ port, ca, agent });
      expect(first.body).to.equal('hello');

      await listeners.secure(await certificates.issueServer(['127.0.0.1']));
      expect(listeners.https!.port).to.equal(port);
      const kept = await getOverTls({ port, ca, agent });
      expect([kept.serialNumber, kept.socket]).to.deep.equal([first.serialNumber, first.socket]);
      const fresh = await getOverTls({ port, ca, agent: false });
      expect(fresh.body).to.equal('hello');
      expect(fresh.serialNumber).to.not.equal(first.serialNumber);
      agent.destroy();
    });
  });

  it('answers plain HTTP on the HTTPS port: 400, and why', async () => {
    const pair = await (await createEdgeCertificates()).issueServer(['127.0.0.1']);
    await withListeners({ httpsPort: 0 }, async (listeners) => {
      await listeners.secure(pair);
      const request = httpRequest({ host: '127.0.0.1', port: listeners.https!.port, path: '/v2/', agent: false });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      expect(response.statusCode).to.equal(400);
      expect((await buffer(response)).toString()).to.equal('Client sent an HTTP request to an HTTPS server.\n');
    });
  });

  it('refuses TLS 1.1, also with a renewed certificate', async () => {
    const certificates = await createEdgeCertificates();
    await withListeners({ httpsPort: 0 }, async (listeners) => {
      for (const pair of [certificates.issueServer(['127.0.0.1']), certificates.issueServer(['127.0.0.1'])]) {
        await listeners.secure(await pair);
        const old = connect({
          ...{ port: listeners.https!.port, host: '127.0.0.1', ca: certificates.trustBundle },
          ...({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const),
        });
        const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
        expect(error.code).to.equal('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
      }
    });
  });

  it('keeps the certificate in use when the next one has another key', async () => {
    const certificates = await createEdgeCertificates();
    await withListeners({ httpsPort: 0 }, async (listeners) => {
      const good = await certificates.issueServer(['127.0.0.1']);
      await listeners.secure(good);
      const { key } = await certificates.issueServer(['127.0.0.1']);
      expect(await listeners.secure({ cert: good.cert, key }).then(() => 'taken', codeOf)).to.equal(
        'ERR_OSSL_X509_KEY_VALUES_MISMATCH',
      );
      const { port } = listeners.https!;
      expect((await getOverTls({ port, ca: certificates.trustBundle, agent: false })).body).to.equal('hello');
    });
  });

  it('rejects when a port is taken', async () => {
    const pair = await (await createEdgeCertificates()).issueServer(['127.0.0.1']);
    await withListeners({}, async ({ http }) => {
      const taken = { api: hello, httpPort: http!.port, httpsPort: http!.port, bindAddress: '127.0.0.1', log };
      expect(await startListeners(taken).then(() => undefined, codeOf)).to.equal('EADDRINUSE');
      await withListeners({ ...taken, httpPort: 0 }, async (listeners) => {
        expect(await listeners.secure(pair).then(() => undefined, codeOf)).to.equal('EADDRINUSE');
        expect(listeners.https).to.equal(undefined);
      });
    });
  });

  /** Begins a request that is answered only when the test says so. */
  async function slowRequest(graceMs: number): Promise<{
    listeners: Listeners;
    response: ServerResponse;
    outcome: Promise<string>;
  }> {
    let arrive: (response: ServerResponse) => void;
    const arrived = new Promise<ServerResponse>((resolve) => (arrive = resolve));
    const listeners = await startListeners({
      api: (_request, response) => arrive(response),
      httpPort: 0,
      httpsPort: 'off',
      bindAddress: '127.0.0.1',
      log,
      graceMs,
    });
    const outcome = get(listeners.http!.port).catch(codeOf);
    return { listeners, response: await arrived, outcome };
  }

  it('lets a running request end before it closes, and takes no new one', async () => {
    const { listeners, response, outcome } = await slowRequest(60_000);
    const closed = listeners.close();
    expect(await get(listeners.http!.port).catch(codeOf)).to.equal('ECONNREFUSED');
    response.end('in time');
    expect(await outcome).to.equal('in time');
    await closed;
  });

  it('cuts what is left after the grace period', async () => {
    const { listeners, outcome } = await slowRequest(10);
    await listeners.close();
    expect(await outcome).to.equal('ECONNRESET');
  });
});

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
