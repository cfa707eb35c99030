import { expect } from 'chai';
import fc from 'fast-check';
import { mostTelling, reportedProperties } from '../../modules/registry/src/status/reported-properties.ts';
import type { ConnectionState, RepositoryProgress } from '../../modules/registry/src/status/sync-status.ts';
import { sampleFacts, syncStatus } from './samples.ts';

const megabyte = 1024 * 1024;

describe('reportedProperties()', () => {
  it('is the shape of the product contract', () => {
    expect(reportedProperties(sampleFacts({ lastActivityTime: new Date('2026-11-24T08:59:59Z') }))).to.deep.equal({
      version: '0.1.0',
      mode: 'ReadWrite',
      inSync: true,
      connectionState: 'Online',
      activation: { status: 'Active', instanceId: 'b1', since: '2026-11-24T07:00:00.000Z' },
      lastActivityTime: '2026-11-24T08:59:00.000Z',
      loginServer: { host: 'edge:8080', tls: { status: 'Disabled' } },
      parent: {
        gatewayEndpoint: 'contoso.azurecr.io',
        syncProperties: {
          schedule: '* * * * *',
          lastSyncTime: '2026-11-24T08:05:00.000Z',
          nextSyncTime: '2026-11-24T10:00:00.000Z',
        },
      },
      statusDetails: [],
      registrySyncResult: {
        syncTrigger: 'Scheduled',
        syncState: 'Succeeded',
        lastSyncStartTime: '2026-11-24T08:00:00.000Z',
        lastSyncEndTime: '2026-11-24T08:05:00.000Z',
        lastSuccessfulSyncEndTime: '2026-11-24T08:05:00.000Z',
      },
      syncProgress: {
        blobsDone: 4,
        blobsTotal: 4,
        bytesDone: 4000,
        bytesTotal: 4000,
        repositoriesTotal: 1,
        repositoriesInSync: 1,
        repositories: [
          { name: 'plant/hello', state: 'InSync', tagsInSync: 2, tagsTotal: 2, bytesDone: 40, bytesTotal: 400 },
        ],
      },
      transfer: { bytesPerSecond: 0 },
      outbox: { pending: 0 },
      storage: { usedBytes: 4000, quotaBytes: 0, freeBytes: 5 * 1024 * megabyte },
      children: [],
      settings: { version: 3, status: 'Applied', problems: [] },
    });
  });

  it('tells an end while the parent answers, none otherwise', () => {
    // 40 of the 50 had crossed before: the other 10 took an hour.
    const moved = { since: new Date('2026-11-24T08:00:00Z'), bytes: 10 };
    const half = { bytesDone: 50, bytesTotal: 100, moved };
    const told = (connectionState: ConnectionState): unknown =>
      reportedProperties(sampleFacts({ sync: syncStatus({ ...half, state: 'Syncing', connectionState }) }))[
        'syncProgress'
      ];
    expect(told('Syncing')).to.include({ eta: '2026-11-24T14:00:00.000Z' });
    // Another pass is tried, and the parent does not answer.
    expect(told('Offline')).not.to.have.property('eta');
  });

  it('does not change when free space or activity move a little', () => {
    const at = (freeBytes: number, seconds: string) =>
      reportedProperties(
        sampleFacts({
          storage: { usedBytes: 1, quotaBytes: 0, freeBytes },
          lastActivityTime: new Date(`2026-11-24T08:59:${seconds}Z`),
        }),
      );
    expect(at(160 * megabyte, '00')).to.deep.equal(at(170 * megabyte, '59'));
  });

  it('says nothing of the activation that another instance holds', () => {
    const { activation, ...held } = sampleFacts();
    expect(activation?.status).to.equal('Active');
    expect(reportedProperties(held)).not.to.have.property('activation');
  });

  it('counts what it leaves out', () => {
    const repositories = Array.from({ length: 5000 }, (_, index): RepositoryProgress => ({
      name: `plant/${index}`,
      state: index === 4321 ? 'Failed' : 'InSync',
      tagsInSync: 1,
      tagsTotal: 1,
    }));
    const reported = reportedProperties(sampleFacts({ sync: syncStatus({ repositories }) }));
    expect(reported['syncProgress']).to.include({ repositoriesTotal: 5000, repositoriesInSync: 4999 });
    expect(reported['syncProgress']).to.have.nested.property('repositories[0].name', 'plant/4321');
    expect(reported['omitted']).to.deep.equal({ repositories: 4950 });
  });

  it('shows a condition of each code before many of one', () => {
    const detail = (code: string) => ({
      type: 'Sync',
      code,
      description: '',
      timestamp: new Date(0),
      correlationId: '1',
    });
    const details = [...Array.from({ length: 99 }, () => detail('REPOSITORY_FAILED')), detail('DISK_FULL')];
    const reported = reportedProperties(sampleFacts({ sync: syncStatus({ details }) }));
    expect(reported).to.have.nested.property('statusDetails[1].code', 'DISK_FULL');
    expect(reported['omitted']).to.deep.equal({ statusDetails: 50 });
  });

  it('cuts long texts, never inside a surrogate pair', () => {
    const reported = reportedProperties(sampleFacts({ version: `${'a'.repeat(298)}😀${'b'.repeat(9000)}` }));
    expect(reported['version']).to.equal(`${'a'.repeat(298)}…`);
  });

  it('never passes a limit of the twin, whatever the facts', () => {
    const words = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 9000 }),
      fc.constant('\u0001'.repeat(5000)),
      fc.constant('€'.repeat(5000)),
    );
    const many = fc.constantFrom(0, 1, 49, 3000);
    const number = fc.oneof(fc.double(), fc.nat());
    const property = fc.property(
      words,
      words,
      many,
      many,
      many,
      number,
      (name, reason, rows, details, children, count) => {
        const repeat = <T>(length: number, make: (index: number) => T): T[] =>
          Array.from({ length }, (_, index) => make(index));
        const reported = reportedProperties(
          sampleFacts({
            version: name,
            activation: { status: 'Active', instanceId: name, since: new Date(0) },
            loginServer: { host: name, certificateExpires: new Date(0) },
            parent: { gatewayEndpoint: name, schedule: reason },
            settings: {
              version: count,
              status: 'Rejected',
              problems: repeat(details, () => ({ path: name, message: reason })),
            },
            storage: { usedBytes: count, quotaBytes: count, freeBytes: count },
            children: repeat(children, () => ({ name, mode: 'ReadOnly', connectionState: 'Online', inSync: false })),
            sync: syncStatus({
              bytesDone: count,
              bytesTotal: 10,
              state: 'Syncing',
              outbox: { pending: count, oldest: new Date(0) },
              repositories: repeat(rows, (index) => ({
                name: `${name}${index}`,
                state: 'Failed',
                tagsInSync: count,
                tagsTotal: count,
                lastError: reason,
              })),
              details: repeat(details, () => ({
                type: name,
                code: name,
                description: reason,
                timestamp: new Date(0),
                correlationId: name,
              })),
            }),
          }),
        );
        expect(Buffer.byteLength(JSON.stringify(reported))).to.be.at.most(28 * 1024);
        expectTwinValue(reported, 1);
      },
    );
    fc.assert(property, { numRuns: 60 });
  });
});

/** IoT Hub's rules for reported properties (reference/iot-edge.md, 2.2). */
function expectTwinValue(value: unknown, depth: number): void {
  expect(depth).to.be.at.most(10);
  expect(value).to.not.be.oneOf([undefined, null]);
  if (typeof value === 'string') expect(Buffer.byteLength(value)).to.be.at.most(4096);
  if (typeof value === 'number') expect(Number.isInteger(value) && Math.abs(value) < 2 ** 52).to.equal(true);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    expect(key).to.match(/^[^.$#\s\p{Cc}]{1,1024}$/u);
    expectTwinValue(item, depth + 1);
  }
}

describe('mostTelling()', () => {
  it('puts failed first, then syncing, pending, in sync; by name within each', () => {
    const row = (name: string, state: RepositoryProgress['state']) => ({ name, state, tagsInSync: 0, tagsTotal: 0 });
    const rows = [row('e', 'InSync'), row('d', 'Pending'), row('c', 'Failed'), row('b', 'Syncing'), row('a', 'Failed')];
    expect(mostTelling(rows).map(({ name }) => name)).to.deep.equal(['a', 'c', 'b', 'd', 'e']);
  });
});
