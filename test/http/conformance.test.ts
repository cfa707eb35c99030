import { expect } from 'chai';
import { digestOf, type Digest } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { referrersTag } from '../../modules/registry/src/oci/names.ts';
import { json, startRegistry, type Answer, type AskOptions, type RegistryServer } from './registry-server.ts';

/**
 * distribution-spec 1.1 and main, and what public suites check beyond it, by endpoint. Everything goes over HTTP, as a
 * suite's requests do; each rule has a repository of its own.
 */
type Rules = Readonly<Record<string, (name: string) => Promise<void>>>;

const octets = { 'Content-Type': 'application/octet-stream' };
const absent = `sha256:${'0'.repeat(64)}`;
const emptyConfig = Buffer.from('{}');
const algorithms = ['sha256', 'sha512'] as const;

let server: RegistryServer;
const ask = (method: string, path: string, options?: AskOptions): Promise<Answer> => server.ask(method, path, options);
const statusOf = async (path: string): Promise<number> => (await ask('GET', path)).status;
const uploadsOf = (name: string): string => `/v2/${name}/blobs/uploads/`;
const blobAt = (name: string, digest: string): string => `/v2/${name}/blobs/${digest}`;
const manifestAt = (name: string, reference: string): string => `/v2/${name}/manifests/${reference}`;

async function open(name: string, query = ''): Promise<string> {
  const answer = await ask('POST', `${uploadsOf(name)}${query}`);
  expect(answer.status).to.equal(202);
  return String(answer.headers['location']);
}

async function pushBlob(name: string, bytes: Buffer, digest: Digest = digestOf(bytes)): Promise<string> {
  const answer = await ask('PUT', `${await open(name)}?digest=${digest}`, { body: bytes, headers: octets });
  expect(answer.status).to.equal(201);
  return blobAt(name, digest);
}

interface Document {
  readonly mediaType: string;
  readonly [field: string]: unknown;
}

/** An image without layers, of a config everybody has. */
function imageOf(fields: Readonly<Record<string, unknown>> = {}): Document {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: descriptorOf(emptyConfig),
    layers: [],
    ...fields,
  };
}

function indexOf(children: readonly Document[], fields: Readonly<Record<string, unknown>> = {}): Document {
  const manifests = children.map((child) => descriptorOf(bytesOf(child), child.mediaType));
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests, ...fields };
}

function descriptorOf(bytes: Buffer, mediaType: string = mediaTypes.ociEmpty) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function bytesOf(document: Document): Buffer {
  return Buffer.from(JSON.stringify(document, undefined, 1));
}

/** Pushes under `reference`, by default its own digest; the config goes first. */
async function push(name: string, document: Document, reference?: string): Promise<Answer> {
  await pushBlob(name, emptyConfig);
  const body = bytesOf(document);
  return ask('PUT', manifestAt(name, reference ?? digestOf(body)), {
    body,
    headers: { 'Content-Type': document.mediaType },
  });
}

async function referrersOf(name: string, subject: string, query = ''): Promise<Record<string, unknown>[]> {
  const answer = await ask('GET', `/v2/${name}/referrers/${subject}${query}`);
  expect([answer.status, answer.headers['content-type']]).to.deep.equal([200, mediaTypes.ociIndex]);
  return json(answer)['manifests'] as Record<string, unknown>[];
}

function expectRefused(answer: Answer, status: number, code: string): void {
  expect(answer).to.include({ status, code });
  const codes = (json(answer)['errors'] as { code: string }[]).map((error) => error.code);
  expect(codes).to.deep.equal(status === 405 ? [code, 'DENIED'] : [code]);
}

/** Everything but what differs from one answer to the next. */
function lasting({ headers }: Answer): object {
  return { ...headers, date: '', connection: '' };
}

const conformance: Readonly<Record<string, Rules>> = {
  'end-1': {
    'answers 200 and names the API': async () => {
      const answer = await ask('GET', '/v2/');
      expect(answer.status).to.equal(200);
      expect(answer.headers['docker-distribution-api-version']).to.equal('registry/2.0');
    },
    'invites who brings no credentials': async () => {
      const answer = await ask('GET', '/v2/', { as: undefined });
      expectRefused(answer, 401, 'UNAUTHORIZED');
      expect(answer.headers['www-authenticate']).to.match(/^Bearer realm="http/);
    },
  },

  'end-2': {
    'sends empty, two-byte and large blobs, under both algorithms': async (name) => {
      for (const bytes of [Buffer.alloc(0), emptyConfig, Buffer.alloc(1_500_000, 'blob ')]) {
        for (const algorithm of algorithms) {
          const digest = digestOf(bytes, algorithm);
          const answer = await ask('GET', await pushBlob(name, bytes, digest));
          expect(answer.headers).to.include({
            'docker-content-digest': digest,
            'content-length': String(bytes.length),
            'content-type': 'application/octet-stream',
          });
          expect(answer.body.equals(bytes)).to.equal(true);
        }
      }
    },
    'answers every range exactly': async (name) => {
      const bytes = Buffer.from(Array.from({ length: 2000 }, (_, index) => index % 256));
      const path = await pushBlob(name, bytes);
      for (const [range, first, last] of [
        ['500-1499', 500, 1499],
        ['500-', 500, 1999],
        ['-500', 1500, 1999],
        ['-9000', 0, 1999],
        ['1500-9000', 1500, 1999],
        ['0-0', 0, 0],
      ] as const) {
        const answer = await ask('GET', path, { headers: { Range: `bytes=${range}` } });
        expect(answer.status, range).to.equal(206);
        expect(answer.headers).to.include({
          'content-range': `bytes ${first}-${last}/2000`,
          'content-length': String(last + 1 - first),
        });
        expect(answer.body.equals(bytes.subarray(first, last + 1)), range).to.equal(true);
      }
      for (const range of ['2000-', '2000-2001', '500-0', '-0']) {
        const answer = await ask('GET', path, { headers: { Range: `bytes=${range}` } });
        expectRefused(answer, 416, 'RANGE_INVALID');
        expect(answer.headers['content-range'], range).to.equal('bytes */2000');
      }
    },
    'knows nothing of blobs that are not here': async (name) => {
      expectRefused(await ask('GET', blobAt(name, absent)), 404, 'BLOB_UNKNOWN');
      expect((await ask('HEAD', blobAt(name, absent))).status).to.equal(404);
      expectRefused(await ask('GET', blobAt(name, 'sha256:abc')), 400, 'DIGEST_INVALID');
    },
  },

  'end-3': {
    'sends the stored type and bytes, whatever is accepted': async (name) => {
      const document = imageOf({ 'x-unknown': { kept: [1, 2, 3] } });
      await push(name, document, 'v1');
      for (const accept of [undefined, '*/*', mediaTypes.dockerManifest]) {
        const headers: Record<string, string> = accept === undefined ? {} : { Accept: accept };
        for (const reference of ['v1', digestOf(bytesOf(document))]) {
          const answer = await ask('GET', manifestAt(name, reference), { headers });
          expect(answer.headers).to.include({
            'content-type': mediaTypes.ociManifest,
            'content-length': String(bytesOf(document).length),
            'docker-content-digest': digestOf(bytesOf(document)),
          });
          expect(answer.body.equals(bytesOf(document))).to.equal(true);
        }
      }
    },
    'serves pulls that name their source (registry proxying), and claims no scope': async (name) => {
      await push(name, imageOf(), 'v1');
      const answer = await ask('GET', `${manifestAt(name, 'v1')}?ns=docker.io`);
      expect(answer.status).to.equal(200);
      expect(answer.headers).not.to.have.property('oci-namespace');
      const path = blobAt(name, digestOf(emptyConfig));
      expect((await ask('HEAD', `${path}?ns=registry.example.com:5000`)).status).to.equal(200);
    },
    'knows nothing of manifests that are not here': async (name) => {
      for (const reference of ['v1', absent]) {
        expectRefused(await ask('GET', manifestAt(name, reference)), 404, 'MANIFEST_UNKNOWN');
      }
    },
  },

  HEAD: {
    'has the headers of GET and no body, wherever it is allowed': async (name) => {
      await push(name, imageOf(), 'v1');
      const subject = digestOf(bytesOf(imageOf()));
      for (const path of [
        '/v2/',
        '/v2/_catalog',
        '/v2/_oci/ext/discover',
        `/v2/${name}/_oci/ext/discover`,
        `/v2/${name}/tags/list?n=1`,
        `/v2/${name}/referrers/${subject}`,
        manifestAt(name, 'v1'),
        manifestAt(name, subject),
        manifestAt(name, 'v2'),
        blobAt(name, digestOf(emptyConfig)),
        blobAt(name, absent),
      ]) {
        const [get, head] = [await ask('GET', path), await ask('HEAD', path)];
        expect([head.status, lasting(head)], path).to.deep.equal([get.status, lasting(get)]);
        expect(head.body).to.have.length(0);
      }
    },
  },

  'end-4a, end-6': {
    'takes POST then PUT, and answers with the place of the blob': async (name) => {
      const bytes = Buffer.from('monolithic');
      const answer = await ask('PUT', `${await open(name)}?digest=${digestOf(bytes)}`, { body: bytes });
      expect(answer.status).to.equal(201);
      expect(answer.headers['location']).to.equal(blobAt(name, digestOf(bytes)));
      expect((await ask('GET', blobAt(name, digestOf(bytes)))).body.equals(bytes)).to.equal(true);
    },
    'needs no query of its own in the session location': async (name) => {
      const location = await open(name);
      expect(location).to.match(/\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    },
    'says that chunks may have any length': async (name) => {
      const answer = await ask('POST', uploadsOf(name));
      expect(answer.headers['oci-chunk-min-length']).to.equal('1');
    },
  },

  'end-4b': {
    'takes the whole content in POST, under both algorithms': async (name) => {
      for (const algorithm of algorithms) {
        const bytes = Buffer.from(`single post ${algorithm}`);
        const digest = digestOf(bytes, algorithm);
        const answer = await ask('POST', `${uploadsOf(name)}?digest=${digest}`, { body: bytes, headers: octets });
        expect([answer.status, answer.headers['location']]).to.deep.equal([201, blobAt(name, digest)]);
        expect(await statusOf(blobAt(name, digest))).to.equal(200);
      }
    },
  },

  'end-4c': {
    'takes chunks for either algorithm, named beforehand or not': async (name) => {
      for (const query of ['', '?digest-algorithm=sha256', '?digest-algorithm=sha512']) {
        for (const algorithm of algorithms) {
          const bytes = Buffer.from(`chunks ${query} ${algorithm}`);
          const location = await open(name, query);
          expect((await ask('PATCH', location, { body: bytes })).status).to.equal(202);
          const digest = digestOf(bytes, algorithm);
          expect((await ask('PUT', `${location}?digest=${digest}`)).status).to.equal(201);
          expect(await statusOf(blobAt(name, digest))).to.equal(200);
        }
      }
      expectRefused(await ask('POST', `${uploadsOf(name)}?digest-algorithm=md5`), 400, 'DIGEST_INVALID');
    },
  },

  'end-5, end-6, end-13': {
    'takes chunks in order, the last one in PUT': async (name) => {
      const bytes = Buffer.from('0123456789');
      const location = await open(name);
      for (const [first, last] of [
        [0, 2],
        [3, 5],
      ] as const) {
        const answer = await ask('PATCH', location, {
          body: bytes.subarray(first, last + 1),
          headers: { ...octets, 'Content-Range': `${first}-${last}` },
        });
        expect([answer.status, answer.headers['range']]).to.deep.equal([202, `0-${last}`]);
        const status = await ask('GET', location);
        expect([status.status, status.headers['range'], status.headers['location']]).to.deep.equal([
          204,
          `0-${last}`,
          location,
        ]);
      }
      const answer = await ask('PUT', `${location}?digest=${digestOf(bytes)}`, {
        body: bytes.subarray(6),
        headers: { ...octets, 'Content-Range': '6-9' },
      });
      expect(answer.status).to.equal(201);
      expect((await ask('GET', blobAt(name, digestOf(bytes)))).body.equals(bytes)).to.equal(true);
    },
    'answers 416 to what is out of order, PATCH and last PUT, and then tells the truth': async (name) => {
      const bytes = Buffer.from('0123456789');
      const location = await open(name);
      const patch = (range: string, body: Buffer): Promise<Answer> =>
        ask('PATCH', location, { body, headers: { 'Content-Range': range } });
      expectRefused(await patch('5-9', bytes.subarray(5)), 416, 'RANGE_INVALID');
      expect((await patch('0-4', bytes.subarray(0, 5))).status).to.equal(202);
      expectRefused(await patch('0-4', bytes.subarray(0, 5)), 416, 'RANGE_INVALID');
      const put = await ask('PUT', `${location}?digest=${digestOf(bytes)}`, {
        body: bytes.subarray(7),
        headers: { 'Content-Range': '7-9' },
      });
      expectRefused(put, 416, 'RANGE_INVALID');
      expect((await ask('GET', location)).headers['range']).to.equal('0-4');
      expect((await patch('5-9', bytes.subarray(5))).status).to.equal(202);
      expect((await ask('PUT', `${location}?digest=${digestOf(bytes)}`)).status).to.equal(201);
    },
    'refuses a wrong digest on every path and keeps nothing': async (name) => {
      const bytes = Buffer.from('not that digest');
      for (const algorithm of algorithms) {
        const wrong = digestOf(Buffer.from('another'), algorithm);
        expectRefused(await ask('POST', `${uploadsOf(name)}?digest=${wrong}`, { body: bytes }), 400, 'DIGEST_INVALID');
        expectRefused(await ask('PUT', `${await open(name)}?digest=${wrong}`, { body: bytes }), 400, 'DIGEST_INVALID');
        const location = await open(name);
        await ask('PATCH', location, { body: bytes });
        expectRefused(await ask('PUT', `${location}?digest=${wrong}`), 400, 'DIGEST_INVALID');
        expectRefused(await ask('GET', location), 404, 'BLOB_UPLOAD_UNKNOWN');
        for (const digest of [wrong, digestOf(bytes, algorithm)]) {
          expect(await statusOf(blobAt(name, digest))).to.equal(404);
        }
      }
    },
  },

  'end-7a': {
    'takes indexes that are empty, nested, or of docker': async (name) => {
      const child = imageOf();
      const inner = indexOf([child]);
      const outer = indexOf([inner, child]);
      const docker = { ...indexOf([child]), mediaType: mediaTypes.dockerList };
      for (const document of [indexOf([]), child, inner, outer, docker]) {
        expect((await push(name, document)).status).to.equal(201);
        const got = await ask('GET', manifestAt(name, digestOf(bytesOf(document))));
        expect(got.body.equals(bytesOf(document))).to.equal(true);
        expect(got.headers['content-type']).to.equal(document.mediaType);
      }
    },
    'takes artifacts, inline data and layers that are elsewhere': async (name) => {
      const data = descriptorOf(emptyConfig);
      const foreign = { ...descriptorOf(Buffer.from('elsewhere')), urls: ['https://example.com/layer'] };
      for (const fields of [
        { artifactType: 'application/vnd.example' },
        { config: { ...data, data: emptyConfig.toString('base64') } },
        { layers: [foreign] },
        { annotations: { 'org.example': 'kept' } },
      ]) {
        expect((await push(name, imageOf(fields), 'v1')).status, JSON.stringify(fields)).to.equal(201);
      }
    },
    'takes almost 4 MB by digest and by tag, and answers 413 beyond': async (name) => {
      const sized = (bytes: number): Document => imageOf({ annotations: { filler: 'x'.repeat(bytes) } });
      const large = sized(3_900_000);
      expect((await push(name, large)).status).to.equal(201);
      expect((await push(name, large, 'large')).status).to.equal(201);
      const got = await ask('GET', manifestAt(name, 'large'));
      expect(got.body.equals(bytesOf(large))).to.equal(true);
      expectRefused(await push(name, sized(4_200_000), 'larger'), 413, 'MANIFEST_TOO_LARGE');
    },
    'answers 400 to a wrong digest, a missing blob, and what is no manifest': async (name) => {
      expectRefused(await push(name, imageOf(), absent), 400, 'DIGEST_INVALID');
      const incomplete = imageOf({ layers: [descriptorOf(Buffer.from('never sent'))] });
      expectRefused(await push(name, incomplete, 'v1'), 400, 'MANIFEST_BLOB_UNKNOWN');
      expectRefused(await push(name, { mediaType: mediaTypes.ociManifest }, 'v1'), 400, 'MANIFEST_INVALID');
      expect(await statusOf(manifestAt(name, 'v1'))).to.equal(404);
    },
    'takes a manifest under its sha512 digest': async (name) => {
      const document = imageOf();
      const digest = digestOf(bytesOf(document), 'sha512');
      const answer = await push(name, document, digest);
      expect([answer.status, answer.headers['docker-content-digest']]).to.deep.equal([201, digest]);
      expect((await ask('GET', manifestAt(name, digest))).headers['docker-content-digest']).to.equal(digest);
    },
    'names the subject, here or not, of images and indexes': async (name) => {
      const subject = descriptorOf(Buffer.from('not here'), mediaTypes.ociManifest);
      for (const document of [imageOf({ subject }), indexOf([], { subject })]) {
        const answer = await push(name, document);
        expect([answer.status, answer.headers['oci-subject']]).to.deep.equal([201, subject.digest]);
      }
    },
  },

  'end-7b': {
    'sets twelve tags in one step, and tells each': async (name) => {
      const tags = Array.from({ length: 12 }, (_, index) => `t${index}-${'x'.repeat(100)}`);
      for (const algorithm of algorithms) {
        const document = imageOf({ annotations: { algorithm } });
        const digest = digestOf(bytesOf(document), algorithm);
        const query = tags.map((tag) => `tag=${tag}`).join('&');
        const answer = await push(name, document, `${digest}?${query}`);
        expect(answer.status).to.equal(201);
        expect(String(answer.headers['oci-tag']).split(', ')).to.have.members(tags);
        for (const tag of tags) {
          const { headers } = await ask('HEAD', manifestAt(name, tag));
          expect(headers['docker-content-digest']).to.equal(digest);
        }
      }
    },
    'sets all tags or none': async (name) => {
      await push(name, imageOf(), 'kept');
      await ask('PATCH', `/acr/v1/${name}/_tags/kept`, { body: '{"writeEnabled":false}' });
      const next = imageOf({ annotations: { version: '2' } });
      const digest = digestOf(bytesOf(next));
      const query = ['one', 'two', 'kept', 'three'].map((tag) => `tag=${tag}`).join('&');
      expectRefused(await push(name, next, `${digest}?${query}`), 405, 'REGISTRY_DISALLOWED_OPERATION');
      expectRefused(await push(name, next, `${digest}?tag=one&tag=.bad`), 400, 'TAG_INVALID');
      for (const reference of ['one', 'two', 'three', digest]) {
        expect(await statusOf(manifestAt(name, reference)), reference).to.equal(404);
      }
    },
  },

  'end-8': {
    'lists sorted pages: n, last, n=0': async (name) => {
      for (const tag of ['b', 'a', 'C', '_d']) await push(name, imageOf(), tag);
      const tags = async (query: string): Promise<unknown> => json(await ask('GET', `/v2/${name}/tags/list${query}`));
      expect(await tags('')).to.deep.equal({ name, tags: ['C', '_d', 'a', 'b'] });
      expect(await tags('?last=_d')).to.deep.equal({ name, tags: ['a', 'b'] });
      expect(await tags('?last=aa&n=5')).to.deep.equal({ name, tags: ['b'] });
      expect(await tags('?n=0')).to.deep.equal({ name, tags: [] });
      expect((await ask('GET', `/v2/${name}/tags/list?n=0`)).headers).not.to.have.property('link');
      const first = await ask('GET', `/v2/${name}/tags/list?n=3`);
      const next = /^<(.+)>; rel="next"$/.exec(String(first.headers['link']))?.[1];
      expect(json(await ask('GET', next ?? ''))).to.deep.equal({ name, tags: ['b'] });
    },
    'answers 404 for a repository that is not here': async (name) => {
      expectRefused(await ask('GET', `/v2/${name}/tags/list`), 404, 'NAME_UNKNOWN');
    },
  },

  'end-9': {
    'takes a tag, then the manifest with its other tags, at once': async (name) => {
      const digest = digestOf(bytesOf(imageOf()));
      for (const tag of ['one', 'two']) await push(name, imageOf(), tag);
      expect((await ask('DELETE', manifestAt(name, 'one'))).status).to.equal(202);
      expect(await statusOf(manifestAt(name, 'one'))).to.equal(404);
      expect(await statusOf(manifestAt(name, digest))).to.equal(200);
      expect((await ask('DELETE', manifestAt(name, digest))).status).to.equal(202);
      for (const reference of ['two', digest]) expect(await statusOf(manifestAt(name, reference))).to.equal(404);
      expectRefused(await ask('DELETE', manifestAt(name, digest)), 404, 'MANIFEST_UNKNOWN');
    },
  },

  'end-10': {
    'takes a blob at once, from this repository only': async (name) => {
      const bytes = Buffer.from(`blob of ${name}`);
      const [path, other] = [await pushBlob(name, bytes), await pushBlob(`${name}/other`, bytes)];
      expect((await ask('DELETE', path)).status).to.equal(202);
      expectRefused(await ask('GET', path), 404, 'BLOB_UNKNOWN');
      expectRefused(await ask('DELETE', path), 404, 'BLOB_UNKNOWN');
      expect(await statusOf(other)).to.equal(200);
    },
  },

  'end-11': {
    'mounts from a repository, and from one that holds only blobs, named or not': async (name) => {
      for (const [query, algorithm] of [
        [`&from=${name}/source`, 'sha256'],
        ['', 'sha256'],
        ['', 'sha512'],
      ] as const) {
        const bytes = Buffer.from(`mount ${query} ${algorithm}`);
        const digest = digestOf(bytes, algorithm);
        await pushBlob(`${name}/source`, bytes, digest);
        const answer = await ask('POST', `${uploadsOf(name)}?mount=${digest}${query}`);
        expect([answer.status, answer.headers['location']]).to.deep.equal([201, blobAt(name, digest)]);
        expect(await statusOf(blobAt(name, digest))).to.equal(200);
      }
    },
    'opens a session for a blob that is not there, and it works': async (name) => {
      const bytes = Buffer.from('sent after all');
      for (const query of ['', `&from=${name}/source`]) {
        const answer = await ask('POST', `${uploadsOf(name)}?mount=${digestOf(bytes)}${query}`);
        expect(answer.status).to.equal(202);
        expect((await ask('GET', String(answer.headers['location']))).status).to.equal(204);
      }
    },
  },

  'end-12': {
    'lists artifact types and all annotations, of images and indexes': async (name) => {
      const subject = descriptorOf(bytesOf(imageOf()), mediaTypes.ociManifest);
      const annotations = { one: '1', two: '2' };
      const typed = imageOf({ subject, artifactType: 'application/vnd.example.sbom', annotations });
      const untyped = imageOf({ subject });
      const index = indexOf([], { subject });
      const typedIndex = indexOf([], { subject, artifactType: 'application/vnd.example.sbom' });
      for (const document of [typed, untyped, index, typedIndex]) await push(name, document);
      const row = (document: Document, more: object): object => ({
        ...descriptorOf(bytesOf(document), document.mediaType),
        ...more,
      });
      const sbom = { artifactType: 'application/vnd.example.sbom' };
      expect(await referrersOf(name, subject.digest)).to.have.deep.members([
        row(typed, { ...sbom, annotations }),
        row(untyped, { artifactType: mediaTypes.ociEmpty }),
        row(index, {}),
        row(typedIndex, sbom),
      ]);
      const query = '?artifactType=application/vnd.example.sbom';
      expect(await referrersOf(name, subject.digest, query)).to.have.length(2);
      const answer = await ask('GET', `/v2/${name}/referrers/${subject.digest}${query}`);
      expect(answer.headers['oci-filters-applied']).to.equal('artifactType');
    },
    'is an empty index for what nobody refers to, and 400 for no digest': async (name) => {
      expect(await referrersOf(name, absent)).to.deep.equal([]);
      expectRefused(await ask('GET', `/v2/${name}/referrers/sha256:abc`), 400, 'DIGEST_INVALID');
    },
    'forgets a referrer that is deleted': async (name) => {
      const subject = descriptorOf(Buffer.from('subject'), mediaTypes.ociManifest);
      const referrer = imageOf({ subject });
      await push(name, referrer);
      await ask('DELETE', manifestAt(name, digestOf(bytesOf(referrer))));
      expect(await referrersOf(name, subject.digest)).to.deep.equal([]);
    },
    'finds what was listed under the fallback tag before': async (name) => {
      for (const algorithm of algorithms) {
        const subject = digestOf(Buffer.from(`subject ${algorithm}`), algorithm);
        const old = imageOf({ annotations: { algorithm } });
        const modern = imageOf({ subject: { ...descriptorOf(Buffer.alloc(0)), digest: subject } });
        const never = imageOf({ annotations: { never: 'pushed' } });
        for (const document of [old, modern]) await push(name, document);
        const rows = [old, modern, never].map((document) => descriptorOf(bytesOf(document), document.mediaType));
        // The index names one that is not here: it comes as a client's list from elsewhere would, by sync.
        const fallback = { ...indexOf([]), manifests: rows };
        const bytes = bytesOf(fallback);
        const stored = { digest: digestOf(bytes), mediaType: mediaTypes.ociIndex, bytes };
        const absentChildren = [digestOf(bytesOf(never))];
        const options = { tag: referrersTag(subject), absent: absentChildren };
        await server.store.replica.putManifest(name as never, stored, options);
        const digests = (await referrersOf(name, subject)).map(({ digest }) => digest);
        expect(digests).to.deep.equal([old, modern].map((document) => digestOf(bytesOf(document))).sort());
        expect(await referrersOf(name, subject, `?artifactType=${mediaTypes.ociEmpty}`)).to.have.length(2);
      }
    },
  },

  'end-14': {
    'gives a session up': async (name) => {
      const location = await open(name);
      expect((await ask('DELETE', location)).status).to.equal(204);
      for (const method of ['GET', 'DELETE']) {
        const answer = await ask(method, location);
        expectRefused(answer, 404, 'BLOB_UPLOAD_UNKNOWN');
      }
    },
  },

  catalog: {
    'lists repositories in pages': async (name) => {
      for (const one of ['a', 'b', 'c']) await push(`${name}/${one}`, imageOf());
      const answer = await ask('GET', `/v2/_catalog?n=2&last=${name}`);
      expect(json(answer)).to.deep.equal({ repositories: [`${name}/a`, `${name}/b`] });
      const next = /^<(.+)>; rel="next"$/.exec(String(answer.headers['link']))?.[1];
      expect((json(await ask('GET', next ?? ''))['repositories'] as string[])[0]).to.equal(`${name}/c`);
    },
  },

  extensions: {
    'says that there are none': async (name) => {
      for (const path of ['/v2/_oci/ext/discover', `/v2/${name}/_oci/ext/discover`]) {
        const answer = await ask('GET', path);
        expect(answer.status).to.equal(200);
        expect(json(answer)).to.deep.equal({ extensions: [] });
      }
    },
  },

  token: {
    'answers 429 with Retry-After to whoever guesses fast': async () => {
      const guesses = Array.from({ length: 40 }, (_, index) =>
        ask('GET', '/acr/oauth2/token', { as: `reader:guess-${index}` }),
      );
      const answers = await Promise.all(guesses);
      const throttled = answers.filter(({ status }) => status === 429);
      expect(throttled).not.to.deep.equal([]);
      for (const answer of throttled) {
        expectRefused(answer, 429, 'TOOMANYREQUESTS');
        expect(answer.headers).to.include({ 'retry-after': '1' }).and.not.have.property('www-authenticate');
      }
      expect(answers.filter(({ status }) => ![401, 429].includes(status))).to.deep.equal([]);
    },
  },
};

describe('conformance', () => {
  before(async () => {
    server = await startRegistry();
  });
  after(() => server.close());

  let count = 0;
  for (const [endpoint, rules] of Object.entries(conformance)) {
    describe(endpoint, () => {
      for (const [rule, check] of Object.entries(rules)) {
        it(rule, () => check(`conformance/r${(count += 1)}`));
      }
    });
  }
});
