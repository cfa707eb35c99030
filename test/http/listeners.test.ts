import { expect } from 'chai';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';
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

  it('serves HTTPS with a certificate', async () => {
    const certificates = await createEdgeCertificates();
    await withListeners({ httpsPort: 0, tls: await certificates.issueServer(['127.0.0.1']) }, async ({ https }) => {
      const request = httpsRequest({
        host: '127.0.0.1',
        port: https!.port,
        ca: certificates.trustBundle,
        agent: false,
      });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      expect((await buffer(response)).toString()).to.equal('hello');
    });
  });

  it('rejects, with nothing left open, when a port is taken', async () => {
    const tls = await (await createEdgeCertificates()).issueServer(['127.0.0.1']);
    await withListeners({}, async ({ http }) => {
      const second = { api: hello, httpsPort: http!.port, bindAddress: '127.0.0.1', log, tls };
      const error = await startListeners({ ...second, httpPort: 0 }).then(() => undefined, codeOf);
      expect(error).to.equal('EADDRINUSE');
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
