import { expect } from 'chai';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createWorkloadApi } from '../../modules/registry/src/twin/workload-api.ts';
import { startEdgeSite } from '../helpers/edge-site.ts';

async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => expect.fail('it should have been rejected'),
    (error: unknown) => (error as Error).message,
  );
}

const module = { moduleId: 'registry', generationId: '638000000000000000' };

describe('createWorkloadApi()', () => {
  for (const workload of ['unix', 'http'] as const) {
    it(`reads the trust bundle over ${workload}`, async () => {
      const site = await startEdgeSite({ modules: ['registry'], workload });
      try {
        const api = createWorkloadApi({ uri: site.workload.uri, apiVersion: '2022-08-03', ...module });
        expect(await api.trustBundle()).to.equal(site.trustBundle);
      } finally {
        await site.close();
      }
    });
  }

  it('asks for a server certificate that the trust bundle vouches for, with a key of its own each time', async () => {
    const site = await startEdgeSite({ modules: ['registry'] });
    try {
      const api = createWorkloadApi({ uri: site.workload.uri, apiVersion: '2022-08-03', ...module });
      const asked = { commonName: 'gateway.plant', expiration: new Date('2026-12-24T00:00:00Z') };
      const { cert, key } = await api.serverCertificate(asked);
      const leaf = new X509Certificate(cert);
      expect(leaf.checkHost('gateway.plant')).to.equal('gateway.plant');
      expect(leaf.checkPrivateKey(createPrivateKey(key))).to.equal(true);
      expect((await api.serverCertificate(asked)).key).to.not.equal(key);
      const stranger = createWorkloadApi({
        uri: site.workload.uri,
        apiVersion: '2022-08-03',
        ...module,
        moduleId: 'other',
      });
      expect(await failureOf(stranger.serverCertificate(asked))).to.contain('403');
    } finally {
      await site.close();
    }
  });

  it('refuses another scheme', () => {
    expect(() => createWorkloadApi({ uri: 'ftp://host', apiVersion: '2022-08-03', ...module })).to.throw('unix://');
  });

  it('rejects where the daemon refuses, drops, hangs or is gone', async () => {
    const site = await startEdgeSite({ modules: ['registry'] });
    const api = createWorkloadApi({ uri: site.workload.uri, apiVersion: '2022-08-03', ...module, timeoutMs: 100 });
    try {
      site.workload.fault = () => 500;
      expect(await failureOf(api.trustBundle())).to.contain('500');
      site.workload.fault = () => 'drop';
      await failureOf(api.trustBundle());
      site.workload.fault = () => 'silent';
      await failureOf(api.trustBundle());
      await site.workload.stop();
      await failureOf(api.trustBundle());
      const unversioned = createWorkloadApi({ uri: site.workload.uri, apiVersion: 'none', ...module });
      await site.workload.start();
      site.workload.fault = () => undefined;
      expect(await failureOf(unversioned.trustBundle())).to.contain('400');
    } finally {
      await site.close();
    }
  });
});
