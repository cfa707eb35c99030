import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { connectParent } from '../../modules/registry/src/parent/connect-parent.ts';
import { freshForMs } from '../../modules/registry/src/sync/pull.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { referrersTag } from '../../modules/registry/src/oci/names.ts';
import { pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { startOciStandin, type OciStandin, type Quirks } from '../helpers/oci-standin.ts';
import { rules, withSite, type Site } from './pass-fixture.ts';
import { patiently, shorterThanLooks } from './patiently.ts';

const hello = repository('plant/hello');
const [v1, v2] = [tag('v1'), tag('v2')];
const layer = Buffer.alloc(300_000, 'layer');
const [one, two] = [sampleImage([layer]), sampleImage(['two'])];

function withPlainParent(
  body: (site: Site, parent: OciStandin, pass: Site['pass']) => Promise<void>,
  quirks: Quirks = {},
): () => Promise<void> {
  return async () => {
    const parent = await startOciStandin(quirks);
    const patience = { idleTimeoutMs: 300, answerTimeoutMs: 2000 };
    try {
      await withSite(
        (site) =>
          body(site, parent, (given) =>
            patiently(site.clock, site.pass({ rules: rules(hello), ...given }), shorterThanLooks),
          ),
        {
          connect: ({ clock, log }) =>
            connectParent({ endpoint: parent.endpoint, protocol: 'http', clock, log, patience }),
        },
      );
    } finally {
      await parent.close();
    }
  };
}

describe('sync from a plain OCI registry', () => {
  it(
    'costs one list and one HEAD a tag over kept connections when nothing is new',
    withPlainParent(async ({ clock }, parent, pass) => {
      for (let number = 0; number < 20; number += 1) await pushImage(parent.content, hello, two, tag(`t${number}`));
      await pass({ mode: 'ReadOnly' });
      await clock.advance(freshForMs);
      // What the parent lacks is looked for once an hour.
      await pass({ mode: 'ReadOnly' });
      parent.requests.length = 0;
      const before = parent.connections;
      expect(await pass({ mode: 'ReadOnly' })).to.equal('Succeeded');
      const { requests } = parent;
      expect(requests.filter((line) => line.startsWith('HEAD '))).to.have.length(20);
      expect(requests.filter((line) => !line.startsWith('HEAD ')).sort()).to.deep.equal([
        'GET /v2/',
        'GET /v2/plant/hello/tags/list',
      ]);
      expect(parent.connections - before).to.be.at.most(4);
    }),
  );

  it(
    'looks for signatures of an image for an hour after it came',
    withPlainParent(async ({ store, clock }, { content }, pass) => {
      await pushImage(content, hello, two, v1);
      await pass();
      const [soon, late] = ['soon', 'late'].map((text) => sampleImage([text], { subject: two.manifest }));
      await clock.advance(freshForMs - 1);
      await pushImage(content, hello, soon!);
      await pass();
      expect(await store.replica.hasManifest(hello, soon!.manifest.digest)).to.equal(true);
      await clock.advance(1);
      await pushImage(content, hello, late!);
      await pass();
      expect(await store.replica.hasManifest(hello, late!.manifest.digest)).to.equal(false);
      await pass({ thorough: true });
      expect(await store.replica.hasManifest(hello, late!.manifest.digest)).to.equal(true);
    }),
  );

  it(
    'finds a late signature at once by the fallback tag, where there is no referrers API',
    withPlainParent(
      async ({ store, clock }, { content, requests }, pass) => {
        await pushImage(content, hello, two, v1);
        await pass();
        await clock.advance(freshForMs);
        const signature = sampleImage(['signature'], { subject: two.manifest });
        const index = sampleIndex([[{ os: 'any', architecture: 'any' }, signature]]);
        await pushImage(content, hello, index, referrersTag(two.manifest.digest));
        requests.length = 0;
        expect(await pass()).to.equal('Succeeded');
        expect(await store.replica.hasManifest(hello, signature.manifest.digest)).to.equal(true);
        expect(requests.filter((line) => line.includes('/referrers/' + two.manifest.digest))).to.deep.equal([]);
      },
      { lacksReferrersApi: true },
    ),
  );

  it(
    'goes on after a cut by skipping what it has, where Range is ignored',
    withPlainParent(
      async ({ store }, parent, pass) => {
        await pushImage(parent.content, hello, one, v1);
        let cuts = 0;
        parent.before = (request, response, url) => {
          if (cuts > 0 || !url.pathname.includes('/blobs/') || request.method !== 'GET') return false;
          if (!url.pathname.endsWith(digestOf(layer))) return false;
          cuts += 1;
          response.writeHead(200, { 'content-length': layer.length });
          response.write(layer.subarray(0, 200_000), () => response.destroy());
          return true;
        };
        expect(await pass()).to.equal('Succeeded');
        expect(cuts).to.equal(1);
        expect(await store.statBlob(hello, digestOf(layer))).to.deep.equal({ size: layer.length });
      },
      { ignoresRange: true },
    ),
  );

  it(
    'resolves tags where HEAD tells no digest',
    withPlainParent(
      async ({ store }, { content }, pass) => {
        await pushImage(content, hello, two, v1);
        expect(await pass()).to.equal('Succeeded');
        expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      },
      { lacksDigestHeader: true },
    ),
  );

  it(
    'tells that the parent does not delete, and keeps it deleted here',
    withPlainParent(
      async ({ store, details, pending }, { content }, pass) => {
        await pushImage(content, hello, two, v1);
        await pushImage(content, hello, one, v2);
        await pass();
        await store.local.deleteManifest(hello, two.manifest.digest);
        await store.local.deleteTag(hello, v2);
        expect(await pass({ drainOnly: true })).to.equal('Succeeded');
        expect(details()).to.deep.equal(['PARENT_DELETE_UNSUPPORTED', 'PARENT_DELETE_UNSUPPORTED']);
        expect(await pending()).to.equal(0);
      },
      { refusesDeletes: true },
    ),
  );

  for (const [what, lie, expected] of [
    [
      'sends less than it announces',
      (bytes, response) => half(bytes, response, () => response.destroy()),
      'REPOSITORY_FAILED',
    ],
    ['begins and does not go on', (bytes, response) => half(bytes, response, () => undefined), 'REPOSITORY_FAILED'],
    ['sends something else', (bytes, response) => response.end(Buffer.alloc(bytes.length, 'x')), 'PARENT_BROKEN'],
    ['sends more than there is', (bytes, response) => response.end(Buffer.concat([bytes, bytes])), 'PARENT_BROKEN'],
  ] as readonly (readonly [string, Lie, string])[]) {
    it(
      `shows nothing of an image of which the parent ${what}, and recovers`,
      withPlainParent(async ({ store, details }, parent, pass) => {
        await pushImage(parent.content, hello, two, v1);
        await pushImage(parent.content, hello, sampleImage(['fine']), v2);
        const bytes = two.blobs[1]!;
        parent.before = (_, response, url) => {
          if (!url.pathname.endsWith(`/blobs/${digestOf(bytes)}`)) return false;
          lie(bytes, response);
          return true;
        };
        expect(await pass()).to.equal('Failed');
        expect(details()).to.deep.equal([expected]);
        expect(await store.resolveTag(hello, v1)).to.equal(undefined);
        expect(await store.resolveTag(hello, v2)).not.to.equal(undefined);
        parent.before = () => false;
        expect(await pass()).to.equal('Succeeded');
        expect(await store.resolveTag(hello, v1)).to.equal(two.manifest.digest);
      }),
    );
  }
});

type Lie = (bytes: Buffer, response: ServerResponse) => unknown;

/** Announces all, sends one byte. */
function half(bytes: Buffer, response: ServerResponse, then: () => void): void {
  response.writeHead(200, { 'content-length': bytes.length });
  response.write(bytes.subarray(0, 1), then);
}
