import { expect } from 'chai';
import { createMetrics } from '../../modules/registry/src/status/metrics.ts';
import { startStatusServer, type Health } from '../../modules/registry/src/status/status-server.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

const well: Health = { alive: true, serving: true, reasons: [] };

async function withServer(
  health: () => Health,
  body: (url: string, log: RecordingLog) => Promise<void>,
  metrics: { render(): Promise<string>; contentType: string } = createMetrics(),
): Promise<void> {
  const log = new RecordingLog();
  const server = await startStatusServer({ port: 0, bindAddress: '127.0.0.1', metrics, health, log });
  try {
    await body(`http://127.0.0.1:${server.address?.port}`, log);
  } finally {
    await server.close();
  }
}

describe('startStatusServer()', () => {
  it('serves /metrics as Prometheus text', () =>
    withServer(
      () => well,
      async (url) => {
        const answer = await fetch(`${url}/metrics`);
        expect(answer.headers.get('content-type')).to.equal('text/plain; version=0.0.4; charset=utf-8');
        expect(await answer.text()).to.include('\nconnected_registry_storage_used_bytes 0\n');
      },
    ));

  const states: readonly (readonly [Partial<Health>, number, number])[] = [
    [{}, 200, 200],
    [{ serving: false, reasons: ['inactive'] }, 200, 503],
    [{ alive: false, reasons: ['index broken'] }, 503, 503],
  ];
  for (const [change, healthz, readyz] of states) {
    it(`answers /healthz ${healthz} and /readyz ${readyz}, with the reasons, given ${JSON.stringify(change)}`, () => {
      const state = { ...well, ...change };
      return withServer(
        () => state,
        async (url) => {
          for (const [path, status] of [
            ['/healthz', healthz],
            ['/readyz?verbose', readyz],
          ] as const) {
            const answer = await fetch(url + path);
            expect(answer.status, path).to.equal(status);
            expect(await answer.json()).to.deep.equal(state);
          }
        },
      );
    });
  }

  it('answers HEAD without a body, other methods 405, other paths 404', () =>
    withServer(
      () => well,
      async (url) => {
        const head = await fetch(`${url}/healthz`, { method: 'HEAD' });
        expect(head.status).to.equal(200);
        expect(await head.text()).to.equal('');
        const post = await fetch(`${url}/metrics`, { method: 'POST' });
        expect(post.status).to.equal(405);
        expect(post.headers.get('allow')).to.equal('GET, HEAD');
        expect((await fetch(`${url}/v2/`)).status).to.equal(404);
      },
    ));

  it('answers 500 and logs when it cannot tell', () =>
    withServer(
      () => well,
      async (url, log) => {
        expect((await fetch(`${url}/metrics`)).status).to.equal(500);
        expect(log.lines.map(({ level }) => level)).to.deep.equal(['error']);
      },
      { contentType: 'text/plain', render: () => Promise.reject(new Error('no')) },
    ));

  it('opens nothing when the port is off', async () => {
    const options = { bindAddress: '127.0.0.1', metrics: createMetrics(), health: () => well, log: new RecordingLog() };
    const server = await startStatusServer({ ...options, port: 'off' });
    expect(server.address).to.equal(undefined);
    await server.close();
  });

  it('rejects when it cannot listen', () =>
    withServer(
      () => well,
      async (url) => {
        const options = {
          bindAddress: '127.0.0.1',
          metrics: createMetrics(),
          health: () => well,
          log: new RecordingLog(),
        };
        const error = await startStatusServer({ ...options, port: Number(new URL(url).port) }).catch((e: unknown) => e);
        expect(error).to.have.property('code', 'EADDRINUSE');
      },
    ));
});
