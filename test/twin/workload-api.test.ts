import { expect } from 'chai';
import { createWorkloadApi } from '../../modules/registry/src/twin/workload-api.ts';
import { startEdgeSite } from '../helpers/edge-site.ts';

async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => expect.fail('it should have been rejected'),
    (error: unknown) => (error as Error).message,
  );
}

describe('createWorkloadApi()', () => {
  for (const workload of ['unix', 'http'] as const) {
    it(`reads the trust bundle over ${workload}`, async () => {
      const site = await startEdgeSite({ modules: ['registry'], workload });
      try {
        const api = createWorkloadApi({ uri: site.workload.uri, apiVersion: '2022-08-03' });
        expect(await api.trustBundle()).to.equal(site.trustBundle);
      } finally {
        await site.close();
      }
    });
  }

  it('refuses another scheme', () => {
    expect(() => createWorkloadApi({ uri: 'ftp://host', apiVersion: '2022-08-03' })).to.throw('unix://');
  });

  it('rejects where the daemon refuses, drops, hangs or is gone', async () => {
    const site = await startEdgeSite({ modules: ['registry'] });
    const api = createWorkloadApi({ uri: site.workload.uri, apiVersion: '2022-08-03', timeoutMs: 100 });
    try {
      site.workload.fault = () => 500;
      expect(await failureOf(api.trustBundle())).to.contain('500');
      site.workload.fault = () => 'drop';
      await failureOf(api.trustBundle());
      site.workload.fault = () => 'silent';
      await failureOf(api.trustBundle());
      await site.workload.stop();
      await failureOf(api.trustBundle());
      const unversioned = createWorkloadApi({ uri: site.workload.uri, apiVersion: 'none' });
      await site.workload.start();
      site.workload.fault = () => undefined;
      expect(await failureOf(unversioned.trustBundle())).to.contain('400');
    } finally {
      await site.close();
    }
  });
});
