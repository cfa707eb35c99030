import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { referrersTag } from '../../modules/registry/src/oci/names.ts';
import { descriptorOf, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { all, answerError, failureOf, withParent, type Script } from './scripted-registry.ts';

const plant = repository('plant/hello');
const subject = sampleImage(['subject']).manifest;
const options = { subject, artifactType: 'application/vnd.example', annotations: { signer: 'me' } };
const [one, two] = [sampleImage(['one'], options).manifest, sampleImage(['two'], options).manifest];
const described = {
  ...descriptorOf(one.bytes, one.mediaType),
  artifactType: 'application/vnd.example',
  annotations: { signer: 'me' },
};
const fallback = `/v2/plant/hello/manifests/${referrersTag(subject.digest)}`;

function indexOf(...manifests: unknown[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
}

/** Keeps manifests by path and knows no referrers API. */
function oldRegistry(content = new Map<string, { type: string; body: Buffer }>()): Script {
  return ({ method, url, headers, body }, response) => {
    const { pathname } = url;
    const found = content.get(pathname);
    if (pathname.includes('/referrers/')) response.writeHead(404).end('404 page not found');
    else if (method === 'PUT') {
      content.set(pathname, { type: headers['content-type'] ?? '', body });
      response.writeHead(201).end();
    } else if (method === 'DELETE') response.writeHead(content.delete(pathname) ? 202 : 404).end();
    else if (found) response.writeHead(200, { 'content-type': found.type }).end(found.body);
    else answerError(response, 404, 'MANIFEST_UNKNOWN');
  };
}

describe('listReferrers()', () => {
  it('follows pages of the API, and does not look at the fallback tag', async () => {
    const script: Script = ({ url }, response) => {
      const isLast = url.searchParams.has('last');
      const link = { link: `<${url.pathname}?last=1>; rel="next"` };
      response.writeHead(200, { 'content-type': mediaTypes.ociIndex, ...(isLast ? {} : link) });
      response.end(isLast ? indexOf(descriptorOf(two.bytes, two.mediaType)) : indexOf(described));
    };
    await withParent(script, async ({ parent, lines }) => {
      const found = await all(parent.listReferrers(plant, subject.digest));
      expect(found).to.deep.equal([described, descriptorOf(two.bytes, two.mediaType)]);
      expect(lines).to.have.length(2);
    });
  });

  it('reads the fallback tag where there is no API, and asks for that once an hour', async () => {
    const content = new Map([[fallback, { type: mediaTypes.ociIndex, body: indexOf(described) }]]);
    await withParent(oldRegistry(content), async ({ parent, lines, clock }) => {
      const apiRequests = (): number => lines.filter((line) => line.includes('/referrers/')).length;
      expect(await all(parent.listReferrers(plant, subject.digest))).to.deep.equal([described]);
      expect(await all(parent.listReferrers(plant, one.digest))).to.deep.equal([]);
      expect(apiRequests()).to.equal(1);
      await clock.advance(3_600_000);
      await all(parent.listReferrers(plant, one.digest));
      expect(apiRequests()).to.equal(2);
    });
  });

  it('asks for the fallback tag only where it is among all tags, when these are known', async () => {
    const content = new Map([[fallback, { type: mediaTypes.ociIndex, body: indexOf(described) }]]);
    await withParent(oldRegistry(content), async ({ parent, lines }) => {
      const asked = (): number => lines.filter((line) => line.includes('/manifests/')).length;
      const others = new Set([tag('1')]);
      expect(await all(parent.listReferrers(plant, subject.digest, { allTags: others }))).to.deep.equal([]);
      expect(asked()).to.equal(0);
      const allTags = new Set([tag('1'), referrersTag(subject.digest)]);
      expect(await all(parent.listReferrers(plant, subject.digest, { allTags }))).to.deep.equal([described]);
      expect(asked()).to.equal(1);
    });
  });

  it('does not take an unknown repository for a missing API', async () => {
    await withParent(
      (_, response) => answerError(response, 404, 'NAME_UNKNOWN'),
      async ({ parent, lines }) => {
        await all(parent.listReferrers(plant, subject.digest));
        await all(parent.listReferrers(plant, subject.digest));
        expect(lines.filter((line) => line.includes('/referrers/'))).to.have.length(2);
      },
    );
  });

  it('throws for what is not an index, and when it is refused', async () => {
    await withParent(
      (_, response) => response.end('{"manifests":[{}]}'),
      async ({ parent }) => {
        expect(await failureOf(all(parent.listReferrers(plant, subject.digest)))).to.include({ failure: 'broken' });
      },
    );
    await withParent(
      (_, response) => response.writeHead(403).end(),
      async ({ parent }) => {
        expect(await failureOf(all(parent.listReferrers(plant, subject.digest)))).to.include({ failure: 'denied' });
      },
    );
  });
});

describe('putManifest() with a subject', () => {
  it('leaves the fallback tag to a parent that answers OCI-Subject', async () => {
    const script: Script = (_, response) => response.writeHead(201, { 'oci-subject': subject.digest }).end();
    await withParent(script, async ({ parent, lines }) => {
      await parent.putManifest(plant, one);
      expect(lines).to.have.length(1);
    });
  });

  it('keeps the fallback tag, once for each referrer, however many at a time', async () => {
    const content = new Map<string, { type: string; body: Buffer }>();
    await withParent(oldRegistry(content), async ({ parent }) => {
      await Promise.all([
        parent.putManifest(plant, one, { tag: tag('signature') }),
        parent.putManifest(plant, two),
        parent.putManifest(plant, one),
      ]);
      const index = JSON.parse(content.get(fallback)!.body.toString()) as { manifests: { digest: string }[] };
      expect(index.manifests.map(({ digest }) => digest)).to.have.members([one.digest, two.digest]);
      expect(index.manifests.find(({ digest }) => digest === one.digest)).to.deep.equal(described);
      expect(content.get(fallback)?.type).to.equal(mediaTypes.ociIndex);
    });
  });

  it('goes on editing after an edit that failed', async () => {
    const content = new Map<string, { type: string; body: Buffer }>();
    const keeping = oldRegistry(content);
    let refusals = 1;
    const script: Script = (seen, response) => {
      if (seen.line === `PUT ${fallback}` && refusals-- > 0) return response.writeHead(400).end();
      return keeping(seen, response);
    };
    await withParent(script, async ({ parent }) => {
      const outcomes = await Promise.allSettled([parent.putManifest(plant, one), parent.putManifest(plant, two)]);
      expect(outcomes.map(({ status }) => status)).to.have.members(['rejected', 'fulfilled']);
      expect(await all(parent.listReferrers(plant, subject.digest))).to.have.length(1);
    });
  });

  it('takes a deleted referrer out again', async () => {
    await withParent(oldRegistry(), async ({ parent }) => {
      await parent.putManifest(plant, one);
      await parent.putManifest(plant, two);
      expect(await parent.deleteManifest(plant, one.digest)).to.equal(true);
      const [left, ...more] = await all(parent.listReferrers(plant, subject.digest));
      expect([left?.digest, more.length]).to.deep.equal([two.digest, 0]);
      expect(await parent.deleteManifest(plant, digestOf(Buffer.from('absent')))).to.equal(false);
    });
  });
});
