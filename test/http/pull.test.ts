import { expect } from 'chai';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { nothingElsewhere } from '../../modules/registry/src/http/on-miss.ts';
import { pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { authorization, admin, json, startRegistry, writer, type RegistryServer } from './registry-server.ts';

const name = repository('plant/hello');
const absent = `sha256:${'0'.repeat(64)}`;

describe('pulling', () => {
  let server: RegistryServer;
  const image = sampleImage(['layer one', 'layer two']);
  const bytes = Buffer.from(Array.from({ length: 2000 }, (_, index) => index % 251));
  const digest = digestOf(bytes);
  /** Three and a bit pump buffers. */
  const large = Buffer.alloc(1_700_000, 'connected registry ');
  const blobPath = `/v2/${name}/blobs/${digest}`;

  before(async () => {
    server = await startRegistry();
    await pushImage(server.store.local, name, image, tag('v1'));
    await pushBlob(server.store.local, name, bytes);
    await pushBlob(server.store.local, name, large);
    await pushBlob(server.store.local, name, Buffer.alloc(0));
  });
  after(() => server.close());

  describe('end-1', () => {
    for (const path of ['/v2/', '/v2']) {
      it(`answers 200 to ${path} and names the API version`, async () => {
        const answer = await server.ask('GET', path);
        expect(answer.status).to.equal(200);
        expect(answer.headers['docker-distribution-api-version']).to.equal('registry/2.0');
      });
    }
  });

  describe('end-2', () => {
    it('sends a blob with its digest and length', async () => {
      const answer = await server.ask('GET', blobPath);
      expect(answer.status).to.equal(200);
      expect(answer.body.equals(bytes)).to.equal(true);
      expect(answer.headers).to.include({
        'docker-content-digest': digest,
        'content-length': '2000',
        'content-type': 'application/octet-stream',
        'accept-ranges': 'bytes',
        etag: `"${digest}"`,
      });
    });

    it('sends a blob of several buffers whole', async () => {
      const answer = await server.ask('GET', `/v2/${name}/blobs/${digestOf(large)}`);
      expect(digestOf(answer.body)).to.equal(digestOf(large));
    });

    it('sends an empty blob', async () => {
      const answer = await server.ask('GET', `/v2/${name}/blobs/${digestOf(Buffer.alloc(0))}`);
      expect([answer.status, answer.body.length]).to.deep.equal([200, 0]);
    });

    it('answers HEAD with the same headers and no body', async () => {
      const answer = await server.ask('HEAD', blobPath);
      expect(answer.headers).to.include({ 'docker-content-digest': digest, 'content-length': '2000' });
      expect([answer.status, answer.body.length]).to.deep.equal([200, 0]);
    });

    const ranges: readonly (readonly [string, number, number])[] = [
      ['bytes=500-1499', 500, 1499],
      ['bytes=500-', 500, 1999],
      ['bytes=-500', 1500, 1999],
      ['bytes=1900-9999', 1900, 1999],
      ['bytes=0-0', 0, 0],
    ];
    for (const [range, start, end] of ranges) {
      it(`answers 206 to ${range}`, async () => {
        const answer = await server.ask('GET', blobPath, { headers: { Range: range } });
        expect(answer.status).to.equal(206);
        expect(answer.headers).to.include({
          'content-range': `bytes ${start}-${end}/2000`,
          'content-length': String(end + 1 - start),
        });
        expect(answer.body.equals(bytes.subarray(start, end + 1))).to.equal(true);
      });
    }

    it('sends a range that begins within one buffer and ends within another', async () => {
      const answer = await server.ask('GET', `/v2/${name}/blobs/${digestOf(large)}`, {
        headers: { Range: 'bytes=400000-1600000' },
      });
      expect(answer.body.equals(large.subarray(400_000, 1_600_001))).to.equal(true);
    });

    for (const range of ['bytes=2000-', 'bytes=500-0', 'bytes=-0']) {
      it(`answers 416 to ${range}`, async () => {
        const answer = await server.ask('GET', blobPath, { headers: { Range: range } });
        expect([answer.status, answer.code]).to.deep.equal([416, 'RANGE_INVALID']);
        expect(answer.headers['content-range']).to.equal('bytes */2000');
      });
    }

    it('ignores a range under If-Range of other content', async () => {
      const answer = await server.ask('GET', blobPath, { headers: { Range: 'bytes=1-2', 'If-Range': '"other"' } });
      expect(answer.status).to.equal(200);
    });

    for (const condition of [`"${digest}"`, `W/"${digest}"`, `"other", "${digest}"`, '*']) {
      it(`answers 304 to If-None-Match: ${condition.slice(0, 20)}`, async () => {
        const answer = await server.ask('GET', blobPath, { headers: { 'If-None-Match': condition } });
        expect([answer.status, answer.body.length]).to.deep.equal([304, 0]);
      });
    }

    it('answers BLOB_UNKNOWN for a digest that is not here, also under If-None-Match', async () => {
      const path = `/v2/${name}/blobs/${absent}`;
      expect(await server.ask('GET', path)).to.include({ status: 404, code: 'BLOB_UNKNOWN' });
      const conditional = await server.ask('GET', path, { headers: { 'If-None-Match': `"${absent}"` } });
      expect(conditional.status).to.equal(404);
      expect((await server.ask('HEAD', path)).status).to.equal(404);
    });

    it('answers BLOB_UNKNOWN in a repository that has no link to the blob', async () => {
      expect(await server.ask('GET', `/v2/plant/other/blobs/${digest}`)).to.include({ code: 'BLOB_UNKNOWN' });
    });

    it('sends a blob whole to many who pull it at once, while one of them does not read', async () => {
      // More than the sockets' buffers take.
      const huge = Buffer.alloc(24 * 1024 * 1024, 'connected registry ');
      await pushBlob(server.store.local, name, huge);
      const path = `/v2/${name}/blobs/${digestOf(huge)}`;
      const headers = { Authorization: authorization(admin) };
      const idle = httpRequest({ host: '127.0.0.1', port: server.port, path, headers, agent: false }).end();
      const [unread] = (await once(idle, 'response')) as [IncomingMessage];
      const range = server.ask('GET', path, { headers: { range: 'bytes=0-99999' } });
      const answers = await Promise.all(Array.from({ length: 4 }, () => server.ask('GET', path)));
      for (const { body } of answers) expect(body.equals(huge)).to.equal(true);
      expect((await range).body.equals(huge.subarray(0, 100_000))).to.equal(true);
      expect((await buffer(unread)).equals(huge)).to.equal(true);
    });

    it('lets go of a client that breaks off, and serves the next', async () => {
      const huge = Buffer.alloc(24 * 1024 * 1024, 7);
      await pushBlob(server.store.local, name, huge);
      const path = `/v2/${name}/blobs/${digestOf(huge)}`;
      const seen = server.samples.length;
      const request = httpRequest({
        host: '127.0.0.1',
        port: server.port,
        path,
        headers: { Authorization: authorization(admin) },
        agent: false,
      });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      await once(response, 'readable');
      response.destroy();
      const answer = await server.ask('GET', path);
      expect(digestOf(answer.body)).to.equal(digestOf(huge));
      const sent = server.samples.slice(seen).map(({ bytesSent }) => bytesSent);
      expect(sent.some((count) => count < huge.length)).to.equal(true);
    });
  });

  describe('end-3', () => {
    for (const reference of ['v1', image.manifest.digest]) {
      for (const accept of [undefined, '*/*', mediaTypes.dockerManifest]) {
        it(`sends the exact bytes of ${reference.slice(0, 10)}, Accept ${accept ?? 'absent'}`, async () => {
          const answer = await server.ask('GET', `/v2/${name}/manifests/${reference}`, {
            headers: accept === undefined ? {} : { Accept: accept },
          });
          expect(answer.status).to.equal(200);
          expect(answer.body.equals(image.manifest.bytes)).to.equal(true);
          expect(answer.headers).to.include({
            'content-type': image.manifest.mediaType,
            'content-length': String(image.manifest.bytes.length),
            'docker-content-digest': image.manifest.digest,
          });
        });
      }
    }

    it('answers HEAD without a body', async () => {
      const answer = await server.ask('HEAD', `/v2/${name}/manifests/v1`);
      expect([answer.status, answer.body.length]).to.deep.equal([200, 0]);
      expect(answer.headers['content-length']).to.equal(String(image.manifest.bytes.length));
    });

    it('answers 304 while a tag has not moved', async () => {
      const answer = await server.ask('GET', `/v2/${name}/manifests/v1`, {
        headers: { 'If-None-Match': `"${image.manifest.digest}"` },
      });
      expect(answer.status).to.equal(304);
    });

    for (const reference of ['v2', absent]) {
      it(`answers MANIFEST_UNKNOWN for ${reference.slice(0, 10)}`, async () => {
        const answer = await server.ask('GET', `/v2/${name}/manifests/${reference}`);
        expect(answer).to.include({ status: 404, code: 'MANIFEST_UNKNOWN' });
      });
    }
  });

  describe('end-8', () => {
    const many = repository('plant/many');
    const tags = ['v1', 'v10', 'v2', 'v3', 'v4'];
    before(async () => {
      for (const one of tags) await pushImage(server.store.local, many, image, tag(one));
    });
    const ask = async (query: string) => server.ask('GET', `/v2/${many}/tags/list${query}`);

    it('lists every tag in order', async () => {
      expect(json(await ask(''))).to.deep.equal({ name: many, tags });
    });

    it('pages with n and Link to the end', async () => {
      const seen: unknown[] = [];
      let query: string | undefined = '?n=2';
      while (query !== undefined) {
        const answer = await ask(query);
        seen.push(json(answer)['tags']);
        const link = String(answer.headers['link'] ?? '');
        query = /^<\/v2\/plant\/many\/tags\/list(\?.+)>; rel="next"$/.exec(link)?.[1];
      }
      expect(seen).to.deep.equal([['v1', 'v10'], ['v2', 'v3'], ['v4']]);
    });

    it('begins after last, which need not exist and needs no n', async () => {
      expect(json(await ask('?last=v11'))['tags']).to.deep.equal(['v2', 'v3', 'v4']);
      expect(json(await ask('?last=v4'))['tags']).to.deep.equal([]);
    });

    it('answers n=0 with an empty list and no Link', async () => {
      const answer = await ask('?n=0');
      expect(json(answer)['tags']).to.deep.equal([]);
      expect(answer.headers['link']).to.equal(undefined);
    });

    it('answers PAGINATION_NUMBER_INVALID to n=x', async () => {
      expect(await ask('?n=x')).to.include({ status: 400, code: 'PAGINATION_NUMBER_INVALID' });
    });

    it('answers NAME_UNKNOWN for a repository that is not here', async () => {
      const answer = await server.ask('GET', '/v2/plant/nothing/tags/list');
      expect(answer).to.include({ status: 404, code: 'NAME_UNKNOWN' });
    });
  });

  describe('end-12', () => {
    const signed = repository('plant/signed');
    const subject = sampleImage(['subject']);
    const signature = sampleImage(['signature'], {
      subject: subject.manifest,
      artifactType: 'application/vnd.example.signature',
      annotations: { key: 'value' },
    });
    const sbom = sampleImage(['sbom'], { subject: subject.manifest, artifactType: 'application/vnd.example.sbom' });
    const path = `/v2/${signed}/referrers/${subject.manifest.digest}`;
    before(async () => {
      // What refers may come before what it refers to.
      for (const one of [signature, sbom, subject]) await pushImage(server.store.local, signed, one);
    });
    const digestsIn = (answer: { body: Buffer }): string[] =>
      (JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] }).manifests.map((row) => row.digest);

    it('lists what refers to a manifest as an index', async () => {
      const answer = await server.ask('GET', path);
      expect(answer.headers['content-type']).to.equal(mediaTypes.ociIndex);
      expect(digestsIn(answer)).to.have.members([signature.manifest.digest, sbom.manifest.digest]);
    });

    it('filters by artifact type and says so', async () => {
      const answer = await server.ask('GET', `${path}?artifactType=application/vnd.example.signature`);
      expect(answer.headers['oci-filters-applied']).to.equal('artifactType');
      expect((json(answer)['manifests'] as unknown[])[0]).to.deep.include({
        digest: signature.manifest.digest,
        artifactType: 'application/vnd.example.signature',
        annotations: { key: 'value' },
      });
      expect(digestsIn(answer)).to.have.length(1);
    });

    it('pages with Link', async () => {
      const first = await server.ask('GET', `${path}?n=1`);
      const next = /^<(.+)>; rel="next"$/.exec(String(first.headers['link']))?.[1];
      const second = await server.ask('GET', next!);
      expect(second.headers['link']).to.equal(undefined);
      expect([...digestsIn(first), ...digestsIn(second)]).to.have.members([
        signature.manifest.digest,
        sbom.manifest.digest,
      ]);
    });

    for (const where of [name, 'plant/nothing']) {
      it(`answers an empty index for an unknown subject in ${where}`, async () => {
        const answer = await server.ask('GET', `/v2/${where}/referrers/${absent}`);
        expect(answer.status).to.equal(200);
        expect(digestsIn(answer)).to.deep.equal([]);
      });
    }

    it('answers DIGEST_INVALID to a tag', async () => {
      expect(await server.ask('GET', `/v2/${signed}/referrers/v1`)).to.include({ status: 400, code: 'DIGEST_INVALID' });
    });
  });

  describe('indexes', () => {
    it('are sent as they are, nested ones and those of docker', async () => {
      const child = sampleImage(['arm'], { docker: true });
      const index = sampleIndex([[{ os: 'linux', architecture: 'arm64' }, child]], { docker: true });
      await pushImage(server.store.local, name, index, tag('multi'));
      const answer = await server.ask('GET', `/v2/${name}/manifests/multi`);
      expect(answer.headers['content-type']).to.equal(mediaTypes.dockerList);
      expect(answer.body.equals(index.manifest.bytes)).to.equal(true);
    });
  });

  describe('errors', () => {
    const cases: readonly (readonly [string, string, number, string])[] = [
      ['GET', '/v2/Plant/manifests/v1', 400, 'NAME_INVALID'],
      ['GET', '/v2/plant/../../etc/manifests/v1', 400, 'NAME_INVALID'],
      ['GET', '/v2/%2e%2e/manifests/v1', 400, 'NAME_INVALID'],
      ['GET', `/v2/${name}/manifests/sha256:abc`, 400, 'DIGEST_INVALID'],
      ['GET', `/v2/${name}/manifests/.x`, 404, 'MANIFEST_UNKNOWN'],
      ['DELETE', `/v2/${name}/manifests/.x`, 404, 'MANIFEST_UNKNOWN'],
      ['PUT', `/v2/${name}/manifests/.x`, 400, 'TAG_INVALID'],
      ['GET', '/v2/nothing/here', 404, 'NOT_FOUND'],
      ['GET', '/elsewhere', 404, 'NOT_FOUND'],
      ['PATCH', `/v2/${name}/manifests/v1`, 405, 'UNSUPPORTED'],
      ['POST', '/v2/', 405, 'UNSUPPORTED'],
    ];
    for (const [method, path, status, code] of cases) {
      it(`answers ${status} ${code} to ${method} ${path}`, async () => {
        const answer = await server.ask(method, path);
        expect(answer).to.include({ status, code });
        expect(answer.headers['docker-distribution-api-version']).to.equal(
          path.startsWith('/v2') ? 'registry/2.0' : undefined,
        );
      });
    }

    for (const path of ['/v2/', '/v2/_catalog', '/v2/_oci/ext/discover']) {
      it(`answers HEAD ${path} of a client token where misses are looked for elsewhere`, async () => {
        const onDemand = await startRegistry({ onMiss: nothingElsewhere });
        try {
          expect((await onDemand.ask('HEAD', path, { as: writer })).status).to.equal(200);
        } finally {
          await onDemand.close();
        }
      });
    }

    it('tells the methods that are allowed', async () => {
      expect((await server.ask('POST', '/v2/')).headers['allow']).to.equal('GET, HEAD');
    });
  });
});
