import { expect } from 'chai';
import { createMetrics, passResult } from '../../modules/registry/src/status/metrics.ts';
import { metricsTable } from '../../modules/registry/src/status/metrics-table.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { syncStatus } from './samples.ts';

const request = { endpoint: 'end-2', method: 'GET', status: 200, seconds: 0.01, bytesSent: 10, bytesReceived: 0 };

/** As the IoT Edge metrics collector reads a line (PrometheusMetricsParser.cs): name, labels, value. */
const collectorLine = /^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*\})? (?:[\d.eE+-]+|NaN)$/;

async function filled() {
  const metrics = createMetrics({ labels: { edge_device: 'd1' } });
  metrics.observeInfo({ version: '0.1.0', mode: 'ReadWrite' });
  metrics.observeRequest({ ...request, bytesReceived: 5 });
  metrics.observeSync(
    syncStatus({
      details: [
        { type: 'Parent', code: 'PARENT_UNREACHABLE', description: '', timestamp: new Date(0), correlationId: '1' },
      ],
    }),
  );
  metrics.observeChildren([{ name: 'plant7line3', connectionState: 'Online', inSync: true, lastSeen: new Date(0) }]);
  metrics.observeStorage({ usedBytes: 1, quotaBytes: 2, freeBytes: 3 });
  metrics.observeCollection(7);
  metrics.observeVerification(0);
  metrics.observeRateLimit(250_000);
  metrics.observeOnDemand('Found');
  return metrics.render();
}

describe('createMetrics()', () => {
  it('renders every row of the table, with its type and labels, and nothing else', async () => {
    const text = await filled();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    expect(types).to.have.members(Object.values(metricsTable).map(({ name, type }) => `${name} ${type}`));
    for (const { name, labels } of Object.values(metricsTable)) {
      const [, found = ''] = new RegExp(`^${name}(?:_sum)?\\{([^}]*)\\}`, 'm').exec(text) ?? [];
      const names = [...found.matchAll(/(\w+)="/g)].map(([, label]) => label);
      expect(names, name).to.have.members([...labels, 'edge_device']);
    }
  });

  it('renders only lines that the IoT Edge metrics collector can read', async () => {
    for (const line of (await filled()).split('\n')) {
      if (line !== '' && !line.startsWith('#')) expect(line).to.match(collectorLine);
    }
  });

  it('counts requests by endpoint, method and status', async () => {
    const metrics = createMetrics();
    metrics.observeRequest(request);
    metrics.observeRequest(request);
    metrics.observeRequest({ ...request, status: 404 });
    const text = await metrics.render();
    expect(text).to.include('http_requests_total{endpoint="end-2",method="GET",status="200"} 2\n');
    expect(text).to.include('http_requests_total{endpoint="end-2",method="GET",status="404"} 1\n');
    expect(text).to.include('http_sent_bytes_total{endpoint="end-2"} 30\n');
    expect(text).to.include('http_request_seconds_bucket{le="0.05",endpoint="end-2"} 3\n');
  });

  it('counts verifications by their end and keeps what the last one found', async () => {
    const metrics = createMetrics();
    for (const findings of [3, undefined, 0, 2, undefined]) metrics.observeVerification(findings);
    const text = await metrics.render();
    for (const [result, count] of [
      ['Clean', 1],
      ['Damaged', 2],
      ['Failed', 2],
    ] as const) {
      expect(text).to.include(`verifications_total{result="${result}"} ${count}\n`);
    }
    expect(text).to.include('verification_findings 2\n');
  });

  it('counts garbage collections and what they freed', async () => {
    const metrics = createMetrics();
    metrics.observeCollection(5);
    metrics.observeCollection(undefined);
    metrics.observeCollection(6);
    const text = await metrics.render();
    expect(text).to.include('garbage_collections_total{result="Succeeded"} 2\n');
    expect(text).to.include('garbage_collections_total{result="Failed"} 1\n');
    expect(text).to.include('garbage_collected_bytes_total 11\n');
  });

  it('tells the rate that holds, and counts misses by what became of them', async () => {
    const metrics = createMetrics();
    metrics.observeRateLimit(250_000);
    metrics.observeOnDemand('Found');
    metrics.observeOnDemand('Failed');
    metrics.observeOnDemand('Found');
    const text = await metrics.render();
    expect(text).to.include('transfer_rate_limit_bytes_per_second 250000\n');
    expect(text).to.include('on_demand_requests_total{result="Found"} 2\n');
    expect(text).to.include('on_demand_requests_total{result="Failed"} 1\n');
  });

  it('counts a pass once, when it has ended', async () => {
    const metrics = createMetrics();
    metrics.observeSync(syncStatus());
    metrics.observeSync(syncStatus({ state: 'Syncing' }));
    metrics.observeSync(syncStatus({ state: 'Failed', lastSyncEndTime: new Date('2026-11-24T09:05:00Z') }));
    const text = await metrics.render();
    expect(text).to.include('sync_passes_total{result="Succeeded"} 1\n');
    expect(text).to.include('sync_passes_total{result="Failed"} 1\n');
  });

  it('forgets conditions and repositories that are gone', async () => {
    const metrics = createMetrics();
    const detail = { type: 'Disk', code: 'DISK_FULL', description: '', timestamp: new Date(0), correlationId: '1' };
    metrics.observeSync(syncStatus({ details: [detail], connectionState: 'Unhealthy' }));
    metrics.observeSync(syncStatus({ repositories: [] }));
    const text = await metrics.render();
    expect(text).not.to.include('DISK_FULL');
    expect(text).not.to.include('plant/hello');
    expect(text).to.include('connection_state{state="Unhealthy"} 0\n');
    expect(text).to.include('connection_state{state="Online"} 1\n');
  });

  it('keeps the number of series bounded by showing 100 repositories', async () => {
    const metrics = createMetrics();
    const repositories = Array.from({ length: 1000 }, (_, index) => ({
      name: `r${index}`,
      state: index === 999 ? ('Failed' as const) : ('InSync' as const),
      tagsInSync: 1,
      tagsTotal: 2,
    }));
    metrics.observeSync(syncStatus({ repositories }));
    const text = await metrics.render();
    expect(text.match(/^connected_registry_repository_tags\{/gm)).to.have.length(100);
    expect(text).to.include('repository_tags{repository="r999"} 2\n');
    expect(text).to.include('connected_registry_repositories{state="InSync"} 999\n');
  });

  it('tells the age of the oldest change in the outbox at the time it is asked', async () => {
    const clock = new ManualClock();
    const metrics = createMetrics({ clock });
    metrics.observeSync(syncStatus({ outbox: { pending: 2, oldest: clock.now() } }));
    await clock.advance(90_000);
    expect(await metrics.render()).to.include('outbox_oldest_age_seconds 90\n');
  });
});

describe('passResult()', () => {
  const lastSyncEndTime = new Date('2026-11-24T09:00:00Z');

  it('is Succeeded when the last end was a success, though the next pass runs already', () => {
    expect(passResult(syncStatus({ state: 'Syncing' }))).to.equal('Succeeded');
  });

  it('is TimedOut or Failed otherwise', () => {
    expect(passResult(syncStatus({ lastSyncEndTime, state: 'TimedOut' }))).to.equal('TimedOut');
    expect(passResult(syncStatus({ lastSyncEndTime, state: 'Syncing' }))).to.equal('Failed');
  });
});
