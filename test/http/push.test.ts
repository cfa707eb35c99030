import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm, symlink } from 'node:fs/promises';
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { pushBlob, pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { until } from '../helpers/until.ts';
import {
  admin,
  authorization,
  json,
  reader,
  startRegistry,
  writer,
  type Answer,
  type RegistryServer,
} from './registry-server.ts';

const name = repository('plant/hello');
const uploads = `/v2/${name}/blobs/uploads/`;
const absent = `sha256:${'0'.repeat(64)}`;
const octets = { 'Content-Type': 'application/octet-stream' };

describe('pushing', () => {
  let server: RegistryServer;
  beforeEach(async () => {
    server = await startRegistry();
  });
  afterEach(() => server.close());

  const start = async (): Promise<string> => {
    const answer = await server.ask('POST', uploads);
    expect(answer.status).to.equal(202);
    return String(answer.headers['location']);
  };
  const finish = (location: string, bytes: Buffer, options: { body?: Buffer; headers?: Record<string, string> } = {}) =>
    server.ask('PUT', `${location}?digest=${digestOf(bytes)}`, options);
  const expectBlob = async (bytes: Buffer): Promise<void> => {
    const answer = await server.ask('GET', `/v2/${name}/blobs/${digestOf(bytes)}`);
    expect(answer.status).to.equal(200);
    expect(answer.body.equals(bytes)).to.equal(true);
  };
  const expectNoBlob = async (bytes: Buffer): Promise<void> => {
    expect((await server.ask('HEAD', `/v2/${name}/blobs/${digestOf(bytes)}`)).status).to.equal(404);
  };

  const tokenOf = async (who: string, scope: string): Promise<string> => {
    const answer = await server.ask('GET', `/acr/oauth2/token?scope=${encodeURIComponent(scope)}`, { as: who });
    return String(json(answer)['access_token']);
  };

  describe('end-4a, end-6: POST then PUT', () => {
    it('opens a session at a relative location that carries its UUID', async () => {
      const answer = await server.ask('POST', uploads);
      const id = String(answer.headers['docker-upload-uuid']);
      expect(answer.headers).to.include({ location: `${uploads}${id}`, range: '0-0', 'content-length': '0' });
      expect(id).to.match(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    });

    it('keeps every byte of large blobs that are pushed at the same time', async () => {
      const blobs = Array.from({ length: 6 }, () => randomBytes(5_000_000));
      const push = async (bytes: Buffer): Promise<number> =>
        (await finish(await start(), bytes, { body: bytes, headers: octets })).status;
      expect(await Promise.all(blobs.map(push))).to.deep.equal(blobs.map(() => 201));
      for (const bytes of blobs) await expectBlob(bytes);
    });

    it('takes the whole blob in PUT', async () => {
      const bytes = Buffer.from('whole');
      const answer = await finish(await start(), bytes, { body: bytes, headers: octets });
      expect(answer.status).to.equal(201);
      expect(answer.headers).to.include({
        location: `/v2/${name}/blobs/${digestOf(bytes)}`,
        'docker-content-digest': digestOf(bytes),
      });
      await expectBlob(bytes);
    });

    it('takes an empty blob', async () => {
      const bytes = Buffer.alloc(0);
      expect((await finish(await start(), bytes)).status).to.equal(201);
      await expectBlob(bytes);
    });

    it('takes a sha512 digest', async () => {
      const bytes = Buffer.from('long digest');
      const digest = digestOf(bytes, 'sha512');
      const location = await start();
      expect((await server.ask('PUT', `${location}?digest=${digest}`, { body: bytes })).status).to.equal(201);
      expect((await server.ask('GET', `/v2/${name}/blobs/${digest}`)).body.equals(bytes)).to.equal(true);
    });

    for (const query of ['', '?digest=', '?digest=sha256:abc', `?digest=${absent}`]) {
      it(`answers DIGEST_INVALID to PUT with ${query.slice(0, 18) || 'no digest'}, and keeps nothing`, async () => {
        const bytes = Buffer.from('content');
        const answer = await server.ask('PUT', `${await start()}${query}`, { body: bytes });
        expect(answer).to.include({ status: 400, code: 'DIGEST_INVALID' });
        await expectNoBlob(bytes);
      });
    }
  });

  describe('end-4b: POST with digest', () => {
    it('takes the whole blob', async () => {
      const bytes = Buffer.from('monolith');
      const answer = await server.ask('POST', `${uploads}?digest=${digestOf(bytes)}`, { body: bytes });
      expect(answer.status).to.equal(201);
      await expectBlob(bytes);
    });

    it('answers DIGEST_INVALID to other content, and keeps nothing', async () => {
      const bytes = Buffer.from('other');
      const answer = await server.ask('POST', `${uploads}?digest=${absent}`, { body: bytes });
      expect(answer).to.include({ status: 400, code: 'DIGEST_INVALID' });
      await expectNoBlob(bytes);
    });
  });

  describe('end-4c: POST with digest-algorithm', () => {
    it('opens a session for sha512', async () => {
      const bytes = Buffer.from('sha512 from the start');
      const answer = await server.ask('POST', `${uploads}?digest-algorithm=sha512`);
      expect(answer.status).to.equal(202);
      const digest = digestOf(bytes, 'sha512');
      const put = await server.ask('PUT', `${String(answer.headers['location'])}?digest=${digest}`, { body: bytes });
      expect(put.status).to.equal(201);
    });

    it('answers DIGEST_INVALID to an algorithm it does not store', async () => {
      expect(await server.ask('POST', `${uploads}?digest-algorithm=md5`)).to.include({ code: 'DIGEST_INVALID' });
    });
  });

  describe('end-5, end-13: PATCH and GET', () => {
    it('takes a stream and tells how far it is', async () => {
      const bytes = Buffer.alloc(300_000, 'stream');
      const location = await start();
      const answer = await server.ask('PATCH', location, { body: bytes, headers: { 'Transfer-Encoding': 'chunked' } });
      expect(answer.status).to.equal(202);
      expect(answer.headers).to.include({ location, range: '0-299999' });
      const status = await server.ask('GET', location);
      expect(status.status).to.equal(204);
      expect(status.headers).to.include({ location, range: '0-299999' });
      expect((await finish(location, bytes)).status).to.equal(201);
      await expectBlob(bytes);
      expect(server.samples.find(({ endpoint }) => endpoint === 'end-5')?.bytesReceived).to.equal(300_000);
    });

    it('takes chunks in order, the last one in PUT', async () => {
      const bytes = Buffer.from('0123456789');
      const location = await start();
      const first = await server.ask('PATCH', location, {
        body: bytes.subarray(0, 4),
        headers: { 'Content-Range': '0-3' },
      });
      expect(first.headers['range']).to.equal('0-3');
      const last = await finish(location, bytes, { body: bytes.subarray(4), headers: { 'Content-Range': '4-9' } });
      expect(last.status).to.equal(201);
      await expectBlob(bytes);
    });

    it('answers 416 out of order, and a GET then tells the truth', async () => {
      const bytes = Buffer.from('0123456789');
      const location = await start();
      await server.ask('PATCH', location, { body: bytes.subarray(0, 4), headers: { 'Content-Range': '0-3' } });
      for (const range of ['5-9', '0-5', 'nonsense']) {
        const body = bytes.subarray(4);
        const wrong = await server.ask('PATCH', location, { body, headers: { 'Content-Range': range } });
        expect(wrong).to.include({ status: 416, code: 'RANGE_INVALID' });
        const put = await finish(location, bytes, { body, headers: { 'Content-Range': range } });
        expect(put).to.include({ status: 416, code: 'RANGE_INVALID' });
      }
      const status = await server.ask('GET', location);
      expect([status.status, status.headers['range']]).to.deep.equal([204, '0-3']);
      expect((await finish(location, bytes, { body: bytes.subarray(4) })).status).to.equal(201);
    });

    it('answers SIZE_INVALID when range and length differ, and the session goes on', async () => {
      const bytes = Buffer.from('0123');
      const location = await start();
      const wrong = await server.ask('PATCH', location, { body: bytes, headers: { 'Content-Range': '0-9' } });
      expect(wrong).to.include({ status: 400, code: 'SIZE_INVALID' });
      const right = await server.ask('PATCH', location, { body: bytes, headers: { 'Content-Range': '0-3' } });
      expect(right.status).to.equal(202);
      expect((await finish(location, bytes)).status).to.equal(201);
    });

    for (const method of ['PATCH', 'PUT', 'GET', 'DELETE']) {
      it(`answers BLOB_UPLOAD_UNKNOWN to ${method} of a session that is not here`, async () => {
        const location = `${uploads}0b2f3c1e-1111-4222-8333-444455556666?digest=${absent}`;
        expect(await server.ask(method, location)).to.include({ status: 404, code: 'BLOB_UPLOAD_UNKNOWN' });
      });
    }

    it('answers BLOB_UPLOAD_UNKNOWN to a session of another repository', async () => {
      const location = (await start()).replace(name, 'plant/other');
      expect(await server.ask('GET', location)).to.include({ code: 'BLOB_UPLOAD_UNKNOWN' });
    });
  });

  describe('end-14', () => {
    it('cancels a session', async () => {
      const location = await start();
      expect((await server.ask('DELETE', location)).status).to.equal(204);
      expect(await server.ask('GET', location)).to.include({ status: 404, code: 'BLOB_UPLOAD_UNKNOWN' });
    });
  });

  describe('end-11: mounts', () => {
    const bytes = Buffer.from('to be mounted');
    const mount = (query: string, as = admin): Promise<Answer> =>
      server.ask('POST', `${uploads}?mount=${digestOf(bytes)}${query}`, { as });
    const expectSession = (answer: Answer): void => {
      expect([answer.status, typeof answer.headers['docker-upload-uuid']]).to.deep.equal([202, 'string']);
    };

    for (const from of ['&from=plant/source', '']) {
      it(`mounts ${from ? 'from a repository' : 'without naming one'}`, async () => {
        await pushBlob(server.store.local, repository('plant/source'), bytes);
        await pushImage(server.store.local, repository('plant/source'), sampleImage(['x']));
        const answer = await mount(from, writer);
        expect(answer.status).to.equal(201);
        expect(answer.headers['location']).to.equal(`/v2/${name}/blobs/${digestOf(bytes)}`);
        await expectBlob(bytes);
      });
    }

    it('falls back to a session for a blob that is not there', async () => {
      expectSession(await mount('&from=plant/source'));
      expectSession(await mount('&from=NOT%20A%20NAME'));
      expectSession(await mount(''));
    });

    for (const from of ['&from=plant/source', '']) {
      it(`mounts with a token for the target alone, ${from ? 'from a repository' : 'without naming one'}`, async () => {
        await pushBlob(server.store.local, repository('plant/source'), bytes);
        await pushImage(server.store.local, repository('plant/source'), sampleImage(['x']));
        expect((await mount(from, await tokenOf(writer, `repository:${name}:pull,push`))).status).to.equal(201);
        await expectBlob(bytes);
      });
    }

    it('falls back to a session for a blob that its owner may not read, whatever the token', async () => {
      await pushBlob(server.store.local, repository('secret/source'), bytes);
      const token = await tokenOf(writer, `repository:${name}:pull,push`);
      for (const from of ['&from=secret/source', '&from=plant/source', '']) expectSession(await mount(from, token));
    });

    it('falls back to a session for a blob that the caller may not read', async () => {
      await pushBlob(server.store.local, repository('secret/source'), bytes);
      await pushImage(server.store.local, repository('secret/source'), sampleImage(['x']));
      expectSession(await mount('&from=secret/source', writer));
      expectSession(await mount('', writer));
      await expectNoBlob(bytes);
    });

    it('answers DIGEST_INVALID to nonsense', async () => {
      expect(await server.ask('POST', `${uploads}?mount=x`)).to.include({ status: 400, code: 'DIGEST_INVALID' });
    });
  });

  describe('concurrency', () => {
    it('takes one blob from several clients at once', async () => {
      const bytes = Buffer.alloc(400_000, 'same');
      const answers = await Promise.all(
        Array.from({ length: 6 }, async () => {
          const location = await start();
          await server.ask('PATCH', location, { body: bytes });
          return finish(location, bytes);
        }),
      );
      expect(answers.map(({ status }) => status)).to.deep.equal(Array(6).fill(201));
      await expectBlob(bytes);
    });

    it('keeps what arrived before a client broke off, and goes on from there', async () => {
      const bytes = Buffer.alloc(2_000_000, 'resume me ');
      const location = await start();
      const request = httpRequest({
        host: '127.0.0.1',
        port: server.port,
        method: 'PATCH',
        path: location,
        headers: { Authorization: authorization(admin), 'Content-Length': bytes.length },
        agent: false,
      });
      const failed = once(request, 'error');
      const ended = server.sampled(({ status }) => status === 499);
      await new Promise((resolve) => request.write(bytes.subarray(0, 1_000_000), resolve));
      request.destroy(new Error('gone'));
      await failed;
      await ended;
      const { headers } = await server.ask('GET', location);
      const held = Number(String(headers['range']).slice(2)) + 1;
      expect(held).to.be.within(1, 1_000_000);
      const rest = await server.ask('PATCH', location, {
        body: bytes.subarray(held),
        headers: { 'Content-Range': `${held}-${bytes.length - 1}` },
      });
      expect(rest.status).to.equal(202);
      expect((await finish(location, bytes)).status).to.equal(201);
      await expectBlob(bytes);
      expect(server.log.lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
    });

    /** Resolves once the store has it, in memory or in a file. */
    const send = async (location: string, request: ClientRequest, piece: string): Promise<void> => {
      request.write(piece);
      const session = await server.store.uploads.find(name, location.slice(uploads.length));
      const known = Buffer.alloc(100);
      await until('the store has it', async () => {
        const stored = await session!.read!(known, 0);
        const all = stored + (await session!.read!(known.subarray(stored), stored)); // in the file, then in memory
        return known.subarray(0, all).includes(piece);
      });
    };

    /** A PATCH whose sender is in the middle of it; its link may be gone without a word. */
    const openPatch = async (location: string, first: string): Promise<ClientRequest> => {
      const request = httpRequest({
        host: '127.0.0.1',
        port: server.port,
        method: 'PATCH',
        path: location,
        headers: { Authorization: authorization(admin), 'Transfer-Encoding': 'chunked', Expect: '100-continue' },
        agent: false,
      });
      request.on('error', () => undefined);
      request.flushHeaders();
      await once(request, 'continue');
      await send(location, request, first);
      return request;
    };

    it('lets only one request write to a session: while bytes come for one, others are refused', async () => {
      const location = await start();
      const request = await openPatch(location, 'first ');
      const other = server.ask('PATCH', location, { body: 'other' });
      await server.clock.sleeping();
      await send(location, request, 'and ');
      await server.clock.advance(10_000);
      expect(await other).to.include({ status: 400, code: 'BLOB_UPLOAD_INVALID' });
      const answered = once(request, 'response');
      request.end('last');
      const [response] = (await answered) as [{ statusCode: number }];
      expect(response.statusCode).to.equal(202);
      expect((await finish(location, Buffer.from('first and last'))).status).to.equal(201);
    });

    it('counts what a connection that is ending still brings, before it tells how far the session is', async () => {
      const location = await start();
      const request = await openPatch(location, 'first ');
      const told = server.ask('GET', location);
      await server.clock.sleeping();
      request.destroy();
      expect((await told).headers['range']).to.equal('0-5');
    });

    it('tells how far the session is after a second, while its writer is silent', async () => {
      const location = await start();
      await server.ask('PATCH', location, { body: 'first ' });
      const request = await openPatch(location, 'second');
      const told = server.ask('GET', location);
      await server.clock.sleeping();
      await server.clock.advance(1000);
      expect((await told).headers['range']).to.equal('0-5');
      request.destroy();
    });

    for (const how of ['PATCH', 'PUT'] as const) {
      it(`gives the session to the sender who comes back with a ${how}, when nothing came over the old connection for ten seconds`, async () => {
        const bytes = Buffer.from('first last');
        const location = await start();
        const request = await openPatch(location, 'first ');
        const path = how === 'PUT' ? `${location}?digest=${digestOf(bytes)}` : location;
        const rest = server.ask(how, path, { body: bytes.subarray(6), headers: { 'Content-Range': '6-9' } });
        await server.clock.sleeping();
        await server.clock.advance(10_000);
        expect((await rest).status).to.equal(how === 'PUT' ? 201 : 202);
        if (how === 'PATCH') expect((await finish(location, bytes)).status).to.equal(201);
        await expectBlob(bytes);
        request.destroy();
      });
    }
  });

  describe('end-7: PUT manifest', () => {
    const image = sampleImage(['a layer']);
    const put = (reference: string, options: { body?: Buffer; type?: string; headers?: Record<string, string> } = {}) =>
      server.ask('PUT', `/v2/${name}/manifests/${reference}`, {
        body: options.body ?? image.manifest.bytes,
        headers: { 'Content-Type': options.type ?? image.manifest.mediaType, ...options.headers },
      });
    beforeEach(async () => {
      for (const blob of image.blobs) await pushBlob(server.store.local, name, blob);
    });

    it('stores it under a tag, and wakes what carries it on', async () => {
      const answer = await put('v1');
      expect(answer.status).to.equal(201);
      expect(answer.headers).to.include({
        location: `/v2/${name}/manifests/${image.manifest.digest}`,
        'docker-content-digest': image.manifest.digest,
      });
      expect(server.changes()).to.equal(1);
      const got = await server.ask('GET', `/v2/${name}/manifests/v1`);
      expect(got.body.equals(image.manifest.bytes)).to.equal(true);
    });

    it('leaves out the parameters of the media type', async () => {
      await put('v1', { type: `${image.manifest.mediaType}; charset=utf-8` });
      const got = await server.ask('GET', `/v2/${name}/manifests/v1`);
      expect(got.headers['content-type']).to.equal(image.manifest.mediaType);
    });

    it('stores it under its digest, sha512 too', async () => {
      expect((await put(image.manifest.digest)).status).to.equal(201);
      const digest = digestOf(image.manifest.bytes, 'sha512');
      expect((await put(digest)).status).to.equal(201);
      const got = await server.ask('GET', `/v2/${name}/manifests/${digest}`);
      expect(got.headers['docker-content-digest']).to.equal(digest);
    });

    it('answers DIGEST_INVALID under another digest', async () => {
      expect(await put(absent)).to.include({ status: 400, code: 'DIGEST_INVALID' });
    });

    it('sets the tags of a digest push and tells which', async () => {
      const tags = Array.from({ length: 10 }, (_, index) => `t${index}`);
      const query = tags.map((one) => `tag=${one}`).join('&');
      const answer = await put(`${image.manifest.digest}?${query}`);
      expect(answer.status).to.equal(201);
      expect(answer.headers['oci-tag']).to.equal(tags.join(', '));
      for (const one of tags) expect((await server.ask('HEAD', `/v2/${name}/manifests/${one}`)).status).to.equal(200);
    });

    it('answers TAG_INVALID to a bad tag of a digest push, and stores nothing', async () => {
      const answer = await put(`${image.manifest.digest}?tag=good&tag=.bad`);
      expect(answer).to.include({ status: 400, code: 'TAG_INVALID' });
      expect((await server.ask('HEAD', `/v2/${name}/manifests/good`)).status).to.equal(404);
    });

    it('accepts a subject that is not here and names it', async () => {
      const subject = sampleImage(['never pushed']).manifest;
      const signature = sampleImage(['a layer'], { subject });
      const answer = await put('sig', { body: signature.manifest.bytes });
      expect([answer.status, answer.headers['oci-subject']]).to.deep.equal([201, subject.digest]);
    });

    it('answers MANIFEST_BLOB_UNKNOWN when a layer is missing', async () => {
      const incomplete = sampleImage(['not pushed']);
      const answer = await put('v1', { body: incomplete.manifest.bytes });
      expect(answer).to.include({ status: 400, code: 'MANIFEST_BLOB_UNKNOWN' });
    });

    const bad: readonly (readonly [string, string, string])[] = [
      ['no JSON', 'nonsense', mediaTypes.ociManifest],
      ['a media type that is no manifest', '{}', 'text/plain'],
      ['no media type', '{}', ''],
      ['schema 1', '{}', mediaTypes.dockerSchema1Signed],
    ];
    for (const [what, body, type] of bad) {
      it(`answers MANIFEST_INVALID to ${what}`, async () => {
        expect(await put('v1', { body: Buffer.from(body), type })).to.include({
          status: 400,
          code: 'MANIFEST_INVALID',
        });
      });
    }

    it('takes a manifest of almost 4 MB', async () => {
      const large = sampleImage(['a layer'], { annotations: { padding: 'x'.repeat(3_900_000) } });
      expect((await put('large', { body: large.manifest.bytes })).status).to.equal(201);
    });

    for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }] as Record<string, string>[]) {
      it(`answers 413 to more than 4 MB, ${'Transfer-Encoding' in headers ? 'chunked' : 'announced'}`, async () => {
        const answer = await put('large', { body: Buffer.alloc(5_000_000, ' '), headers });
        expect(answer).to.include({ status: 413, code: 'MANIFEST_TOO_LARGE' });
      });
    }

    it('keeps a connection in step after a body that was not read to its end', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const send = async (method: string, body?: Buffer): Promise<number> => {
        const request = httpRequest({
          host: '127.0.0.1',
          port: server.port,
          method,
          path: `/v2/${name}/manifests/v1`,
          headers: { Authorization: authorization(admin), ...(body && { 'Transfer-Encoding': 'chunked' }) },
          agent,
        });
        request.end(body);
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        response.resume();
        await once(response, 'end');
        return response.statusCode ?? 0;
      };
      try {
        expect(await send('PUT', Buffer.alloc(12_000_000, ' '))).to.equal(413);
        expect(await send('GET')).to.equal(404);
      } finally {
        agent.destroy();
      }
    });
  });

  describe('end-9, end-10: DELETE', () => {
    const image = sampleImage(['to be deleted']);
    const manifestPath = (reference: string): string => `/v2/${name}/manifests/${reference}`;
    const statusOf = async (path: string): Promise<number> => (await server.ask('GET', path)).status;
    beforeEach(async () => {
      await pushImage(server.store.local, name, image, tag('v1'));
      await pushImage(server.store.local, name, image, tag('v2'));
    });

    it('takes one tag and leaves the manifest', async () => {
      expect((await server.ask('DELETE', manifestPath('v1'))).status).to.equal(202);
      expect(await statusOf(manifestPath('v1'))).to.equal(404);
      expect(await statusOf(manifestPath('v2'))).to.equal(200);
      expect(await statusOf(manifestPath(image.manifest.digest))).to.equal(200);
      expect(server.changes()).to.equal(1);
    });

    it('takes a manifest and its tags', async () => {
      expect((await server.ask('DELETE', manifestPath(image.manifest.digest))).status).to.equal(202);
      for (const reference of ['v1', 'v2', image.manifest.digest]) {
        expect(await statusOf(manifestPath(reference))).to.equal(404);
      }
    });

    it('takes a blob once no manifest of the repository needs it', async () => {
      const path = `/v2/${name}/blobs/${digestOf(image.blobs[1]!)}`;
      expect(await server.ask('DELETE', path)).to.include({ status: 405, code: 'REGISTRY_DISALLOWED_OPERATION' });
      expect(await statusOf(path)).to.equal(200);
      await server.ask('DELETE', manifestPath(image.manifest.digest));
      expect((await server.ask('DELETE', path)).status).to.equal(202);
      expect(await server.ask('GET', path)).to.include({ status: 404, code: 'BLOB_UNKNOWN' });
      expect(await server.ask('DELETE', path)).to.include({ status: 404, code: 'BLOB_UNKNOWN' });
    });

    it('answers MANIFEST_UNKNOWN for what is not here', async () => {
      for (const reference of ['v9', absent]) {
        expect(await server.ask('DELETE', manifestPath(reference))).to.include({
          status: 404,
          code: 'MANIFEST_UNKNOWN',
        });
      }
    });
  });

  describe('rules of the registry', () => {
    const write = (as?: string): Promise<Answer> => server.ask('POST', uploads, as === undefined ? {} : { as });

    it('answers 405 to every write of a ReadOnly registry, and serves reads', async () => {
      server.state = { ...server.state, mode: 'ReadOnly' };
      const writes: readonly (readonly [string, string, string])[] = [
        ['POST', uploads, ''],
        ['PATCH', `${uploads}x`, ''],
        ['PUT', `${uploads}x`, ''],
        ['DELETE', `${uploads}x`, ''],
        ['PUT', `/v2/${name}/manifests/v1`, 'GET, HEAD'],
        ['DELETE', `/v2/${name}/manifests/v1`, 'GET, HEAD'],
        ['DELETE', `/v2/${name}/blobs/${absent}`, 'GET, HEAD'],
      ];
      for (const [method, path, allow] of writes) {
        const answer = await server.ask(method, path);
        expect(answer, `${method} ${path}`).to.include({ status: 405, code: 'UNSUPPORTED' });
        expect(answer.headers['allow'], `${method} ${path}`).to.equal(allow);
      }
      expect((await server.ask('GET', '/v2/')).status).to.equal(200);
    });

    it('names DENIED too where a push is refused for good, so that podman and buildah do not try it again', async () => {
      const codes = async (): Promise<unknown[]> =>
        (json(await server.ask('POST', uploads))['errors'] as { code: string }[]).map(({ code }) => code);
      server.state = { ...server.state, mode: 'ReadOnly' };
      expect(await codes()).to.deep.equal(['UNSUPPORTED', 'DENIED']);
      server.state = { ...server.state, mode: 'ReadWrite', refusal: 'ALREADY_ACTIVATED' };
      expect(await codes()).to.deep.equal(['ALREADY_ACTIVATED']);
    });

    it('tells of its mode only those who may write', async () => {
      server.state = { ...server.state, mode: 'ReadOnly' };
      expect(await server.ask('POST', uploads, { as: undefined })).to.include({ status: 401 });
      expect(await write(reader)).to.include({ status: 403, code: 'DENIED' });
    });

    it('answers STORAGE_FULL to new content over the quota; reads and deletes go on', async () => {
      const image = sampleImage(['fills the disk']);
      await pushImage(server.store.local, name, image, tag('v1'));
      const location = await start();
      server.state = { ...server.state, quotaBytes: 10 };
      expect(await write()).to.include({ status: 507, code: 'STORAGE_FULL' });
      const put = await server.ask('PUT', `/v2/${name}/manifests/v2`, { body: image.manifest.bytes });
      expect(put).to.include({ status: 507, code: 'STORAGE_FULL' });
      expect((await server.ask('GET', `/v2/${name}/manifests/v1`)).status).to.equal(200);
      expect((await server.ask('DELETE', location)).status).to.equal(204);
      expect((await server.ask('DELETE', `/v2/${name}/manifests/v1`)).status).to.equal(202);
    });

    it('answers STORAGE_FULL on a full disk while the client still sends', async () => {
      const full = await startRegistry({ reserveBytes: Number.MAX_SAFE_INTEGER });
      try {
        const location = String((await full.ask('POST', uploads)).headers['location']);
        const answer = await full.ask('PATCH', location, { body: Buffer.alloc(8_000_000) });
        expect(answer).to.include({ status: 507, code: 'STORAGE_FULL' });
        expect((await full.ask('GET', location)).headers['range']).to.equal('0-0');
      } finally {
        await full.close();
      }
    });

    /** `/dev/full` answers every write with ENOSPC. */
    (existsSync('/dev/full') ? it : it.skip)(
      'answers STORAGE_FULL to a write that fails while more arrives, shows nothing of it, and takes it when there is room',
      async () => {
        const bytes = randomBytes(8_000_000);
        const location = await start();
        const file = join(server.directory, 'uploads', location.slice(uploads.length));
        await symlink('/dev/full', file);
        const answer = await finish(location, bytes, { body: bytes, headers: octets });
        expect(answer).to.include({ status: 507, code: 'STORAGE_FULL' });
        await expectNoBlob(bytes);
        expect((await server.ask('GET', location)).headers['range']).to.equal('0-0');
        await rm(file);
        expect((await finish(location, bytes, { body: bytes, headers: octets })).status).to.equal(201);
        await expectBlob(bytes);
      },
    );

    it('refuses everything while INACTIVE', async () => {
      server.state = { ...server.state, refusal: 'INACTIVE' };
      expect(await server.ask('GET', '/v2/')).to.include({ status: 503, code: 'INACTIVE' });
      expect(await write()).to.include({ status: 503, code: 'INACTIVE' });
    });

    it('refuses writes while ALREADY_ACTIVATED elsewhere', async () => {
      server.state = { ...server.state, refusal: 'ALREADY_ACTIVATED' };
      expect((await server.ask('GET', '/v2/')).status).to.equal(200);
      expect(await write()).to.include({ status: 409, code: 'ALREADY_ACTIVATED' });
    });

    it('audits writes and logins when told to, refused ones too, and never a password', async () => {
      await write(writer);
      server.state = { ...server.state, auditLog: true };
      await write(writer);
      await write(reader);
      await server.ask('GET', '/v2/', { as: reader });
      await server.ask('GET', '/acr/oauth2/token', { as: writer });
      const lines = server.log.lines.filter(({ message }) => message === 'Audit').map(({ fields }) => fields);
      expect(lines.map((fields) => [fields?.['principal'], fields?.['action'], fields?.['status']])).to.deep.equal([
        ['writer', 'POST content/write', 202],
        ['reader', 'POST content/write', 403],
        ['writer', 'login', 200],
      ]);
      expect(lines[0]).to.include({ repository: name, client: '127.0.0.1' });
      expect(JSON.stringify(server.log.lines)).not.to.contain('-password');
    });
  });
});
