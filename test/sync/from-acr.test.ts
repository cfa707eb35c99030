import { expect } from 'chai';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { startAcrStandin, type AcrStandin, type AcrStandinOptions } from '../helpers/acr-standin.ts';
import { pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { rules, withSite, type Site } from './pass-fixture.ts';
import { patiently, shorterThanLooks } from './patiently.ts';
import { freshForMs } from '../../modules/registry/src/sync/pull.ts';

const token = { name: 'plant7', password: 'sync-password' };
const [hello, tools] = [repository('plant/hello'), repository('plant/tools')];
const [v1, v2] = [tag('v1'), tag('v2')];
const [one, two] = [sampleImage(['one', 'shared']), sampleImage(['two', 'shared'])];
const signature = sampleImage(['signature'], { subject: one.manifest });

function withAcr(
  body: (site: Site, acr: AcrStandin, pass: Site['pass']) => Promise<void>,
  options: Partial<AcrStandinOptions> = {},
): () => Promise<void> {
  return async () => {
    const acr = await startAcrStandin({ token, repositories: [hello, tools], ...options });
    try {
      await withSite(
        (site) =>
          body(site, acr, (given) =>
            patiently(site.clock, site.pass({ rules: rules(hello, tools), ...given }), shorterThanLooks),
          ),
        {
          carries: () => false,
          connect: ({ clock, log }) =>
            connectParent({ endpoint: acr.endpoint, protocol: 'http', credentials: token, clock, log }),
        },
      );
    } finally {
      await acr.close();
    }
  };
}

describe('sync from an ACR', () => {
  it(
    'brings images and signatures by the data endpoint, with tokens for each repository, over pages and 429',
    withAcr(
      async ({ store, details }, { content, dataRequests, leaks, requests }, pass) => {
        const platform = { os: 'linux', architecture: 'amd64' };
        await pushImage(content, hello, sampleIndex([[platform, one]]), v1);
        await pushImage(content, hello, signature);
        for (let number = 0; number < 7; number += 1) await pushImage(content, tools, two, tag(`t${number}`));
        expect(await pass()).to.equal('Succeeded');
        expect(details()).to.deep.equal([]);
        expect(await store.replica.hasManifest(hello, signature.manifest.digest)).to.equal(true);
        expect((await store.describeRepository(tools))?.tags).to.equal(7);
        expect(leaks).to.deep.equal([]);
        expect(dataRequests, 'the shared layer once').to.have.length(7);
        expect(requests.filter((line) => line === `GET /acr/v1/${tools}/_tags`).length).to.be.within(3, 5);
        expect(requests.filter((line) => line.startsWith('HEAD /v2/plant/tools/manifests'))).to.deep.equal([]);
      },
      { pageSize: 3, throttlesEvery: 9 },
    ),
  );

  it(
    'costs one request a repository and page when nothing is new',
    withAcr(async ({ clock }, { content, requests }, pass) => {
      for (let number = 0; number < 20; number += 1) await pushImage(content, hello, one, tag(`t${number}`));
      await pushImage(content, tools, two, v1);
      await pass({ mode: 'ReadOnly' });
      await clock.advance(freshForMs);
      requests.length = 0;
      expect(await pass({ mode: 'ReadOnly' })).to.equal('Succeeded');
      expect(requests.sort()).to.deep.equal([
        'GET /acr/v1/plant/hello/_tags',
        'GET /acr/v1/plant/tools/_tags',
        'GET /v2/',
      ]);
    }),
  );

  it(
    'follows moves and removals',
    withAcr(async ({ store }, { content }, pass) => {
      await pushImage(content, hello, one, v1);
      await pushImage(content, hello, one, v2);
      await pass({ mode: 'ReadOnly' });
      await pushImage(content, hello, two, v1);
      await content.deleteTag(hello, v2);
      expect(await pass({ mode: 'ReadOnly' })).to.equal('Succeeded');
      expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      expect(await store.resolveTag(hello, v2)).to.equal(undefined);
    }),
  );

  it(
    'tells that a scoped token may not list the catalog, and that another repository is not its own; the others come',
    withAcr(
      async ({ store, details }, { content }, pass) => {
        await pushImage(content, hello, one, v1);
        await pushImage(content, tools, two, v1);
        expect(await pass({ rules: rules(hello, tools, 'line/*') })).to.equal('Failed');
        expect(details()).to.have.members(['PARENT_CATALOG_FAILED', 'PARENT_DENIED']);
        expect(await store.resolveTag(hello, v1)).to.equal(one.manifest.digest);
      },
      { repositories: [hello] },
    ),
  );

  it(
    'says so when the sync token is refused',
    withAcr(
      async ({ details }, _, pass) => {
        expect(await pass()).to.equal('Failed');
        expect(details()).to.deep.equal(['PARENT_UNAUTHORIZED']);
      },
      { token: { ...token, password: 'rotated' } },
    ),
  );
});
