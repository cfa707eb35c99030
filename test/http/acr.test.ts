import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { referrersTag } from '../../modules/registry/src/oci/names.ts';
import { pushBlob, pushImage, sampleImage, sampleIndex } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { json, reader, startRegistry, writer, type Answer, type RegistryServer } from './registry-server.ts';

const name = repository('plant/hello');
const here = `/acr/v1/${name}`;
const amd64 = { os: 'linux', architecture: 'amd64' };
const everything = { deleteEnabled: true, writeEnabled: true, listEnabled: true, readEnabled: true };
const unknownDigest = `sha256:${'0'.repeat(64)}`;

describe('ACR API', () => {
  let server: RegistryServer;
  const first = sampleImage(['first'], { platform: amd64 });
  const second = sampleImage(['second'], { platform: amd64 });
  const digestOne = first.manifest.digest;
  const times: string[] = [];

  /** Three tags, a minute apart: b and c on the first image, a on the second. */
  beforeEach(async () => {
    server = await startRegistry();
    times.length = 0;
    for (const [image, name_] of [
      [first, 'b'],
      [first, 'c'],
      [second, 'a'],
    ] as const) {
      times.push(server.clock.now().toISOString());
      await pushImage(server.store.local, name, image, tag(name_));
      await server.clock.advance(60_000);
    }
  });
  afterEach(() => server.close());

  const get = async (path: string): Promise<Record<string, unknown>> => {
    const answer = await server.ask('GET', path);
    expect(answer.status, path).to.equal(200);
    return json(answer);
  };
  const patch = (path: string, attributes: unknown, as = writer): Promise<Answer> =>
    server.ask('PATCH', path, { as, body: JSON.stringify(attributes) });
  const lock = async (path: string, attributes: unknown): Promise<void> => {
    expect((await patch(path, attributes)).status).to.equal(200);
  };
  const namesIn = (answer: Record<string, unknown>): string[] =>
    (answer['tags'] as { name: string }[]).map((row) => row.name);
  const put = (reference: string, image = first, at: string = name): Promise<Answer> =>
    server.ask('PUT', `/v2/${at}/manifests/${reference}`, {
      body: image.manifest.bytes,
      headers: { 'Content-Type': image.manifest.mediaType },
    });

  describe('attributes', () => {
    it('tell of a repository', async () => {
      expect(await get(here)).to.deep.equal({
        registry: server.host,
        imageName: name,
        createdTime: times[0],
        lastUpdateTime: times[2],
        manifestCount: 2,
        tagCount: 3,
        changeableAttributes: everything,
      });
      await server.store.local.deleteTag(name, tag('b'));
      expect(await get(here)).to.include({ tagCount: 2, lastUpdateTime: server.clock.now().toISOString() });
      await server.store.local.deleteManifest(name, digestOne);
      expect(await get(here)).to.include({ manifestCount: 1, tagCount: 1 });
    });

    it('tell of a tag, which keeps its birth when it moves', async () => {
      await pushImage(server.store.local, name, second, tag('b'));
      const described = {
        name: 'b',
        digest: second.manifest.digest,
        createdTime: times[0],
        lastUpdateTime: server.clock.now().toISOString(),
        signed: false,
        changeableAttributes: everything,
      };
      expect(await get(`${here}/_tags/b`)).to.deep.equal({ registry: server.host, imageName: name, tag: described });
      expect(((await get(`${here}/_tags`))['tags'] as unknown[])[1]).to.deep.equal(described);
    });

    it('tell with the tags whether anything in the repository refers to another manifest', async () => {
      expect(await get(`${here}/_tags`)).to.include({ hasReferrers: false });
      await pushImage(server.store.local, name, sampleImage(['signature'], { subject: first.manifest }));
      expect(await get(`${here}/_tags?n=1`)).to.include({ hasReferrers: true });
      expect(await server.store.hasReferrers(repository('plant/hello2'))).to.equal(false);
    });

    it('tell of a fallback tag as of a referrer', async () => {
      const index = sampleIndex([[amd64, second]]);
      await pushImage(server.store.local, name, index, referrersTag(digestOne));
      expect(await get(`${here}/_tags`)).to.include({ hasReferrers: true });
    });

    it('tell of an image with size, platform and tags', async () => {
      const described = {
        digest: digestOne,
        imageSize: first.blobs.reduce((sum, { length }) => sum + length, 0),
        createdTime: times[0],
        lastUpdateTime: times[0],
        architecture: 'amd64',
        os: 'linux',
        mediaType: first.manifest.mediaType,
        configMediaType: 'application/vnd.oci.image.config.v1+json',
        tags: ['b', 'c'],
        changeableAttributes: everything,
      };
      expect(await get(`${here}/_manifests/${digestOne}`)).to.deep.equal({
        registry: server.host,
        imageName: name,
        manifest: described,
      });
      const { manifests } = (await get(`${here}/_manifests`)) as { manifests: unknown[] };
      expect(manifests).to.have.length(2).and.deep.include(described);
    });

    it('tell of an index without a platform of its own', async () => {
      const index = sampleIndex([[amd64, first]]);
      await pushImage(server.store.local, name, index);
      const { manifest } = (await get(`${here}/_manifests/${index.manifest.digest}`)) as { manifest: object };
      expect(manifest).to.include({ imageSize: first.manifest.bytes.length, mediaType: index.manifest.mediaType });
      expect(manifest).to.not.have.any.keys('os', 'architecture', 'configMediaType');
    });

    for (const [path, code] of [
      ['/acr/v1/plant/none', 'NAME_UNKNOWN'],
      ['/acr/v1/plant/none/_tags', 'NAME_UNKNOWN'],
      ['/acr/v1/plant/none/_manifests', 'NAME_UNKNOWN'],
      [`${here}/_tags/none`, 'MANIFEST_UNKNOWN'],
      [`${here}/_manifests/${unknownDigest}`, 'MANIFEST_UNKNOWN'],
    ] as const) {
      it(`are ${code} at ${path.slice(0, 45)}`, async () => {
        expect(await server.ask('GET', path)).to.include({ status: 404, code });
        if (path.endsWith('s')) return;
        expect(await patch(path, {})).to.include({ status: 404, code });
      });
    }
  });

  describe('order and pages', () => {
    const orders = [
      ['', ['a', 'b', 'c']],
      ['orderby=timeasc', ['b', 'c', 'a']],
      ['orderby=timedesc', ['a', 'c', 'b']],
    ] as const;
    for (const [order, expected] of orders) {
      it(`lists tags ${order || 'by name'}, whole and page by page`, async () => {
        expect(namesIn(await get(`${here}/_tags?${order}`))).to.deep.equal(expected);
        const found: string[] = [];
        for (let next: string | undefined = `${here}/_tags?n=1&${order}`; next !== undefined;) {
          const answer = await server.ask('GET', next);
          found.push(...namesIn(json(answer)));
          next = /^<(.+)>; rel="next"$/.exec(String(answer.headers['link']))?.[1];
        }
        expect(found).to.deep.equal(expected);
      });

      it(`goes on after last, ${order || 'by name'}`, async () => {
        expect(namesIn(await get(`${here}/_tags?last=${expected[0]}&${order}`))).to.deep.equal(expected.slice(1));
      });
    }

    it('keeps its place by time when the last tag has gone', async () => {
      const { headers } = await server.ask('GET', `${here}/_tags?orderby=timeasc&n=1`);
      await server.store.local.deleteTag(name, tag('b'));
      const next = /^<(.+)>; rel="next"$/.exec(String(headers['link']))?.[1];
      expect(namesIn(await get(next!))).to.deep.equal(['c']);
    });

    it('lists manifests by time', async () => {
      const { manifests } = (await get(`${here}/_manifests?orderby=timedesc&n=1`)) as { manifests: object[] };
      expect(manifests.map((row) => (row as { digest: string }).digest)).to.deep.equal([second.manifest.digest]);
    });

    it('lists the tags of one digest', async () => {
      const answer = await server.ask('GET', `${here}/_tags?digest=${digestOne}&n=1`);
      expect(namesIn(json(answer))).to.deep.equal(['b']);
      expect(String(answer.headers['link'])).to.include(encodeURIComponent(digestOne));
    });

    for (const query of ['orderby=size', 'orderby=timeasc&last=none', 'orderby=timeasc&last=b&lasttime=x', 'n=-1']) {
      it(`answers PAGINATION_NUMBER_INVALID to ${query}`, async () => {
        const answer = await server.ask('GET', `${here}/_tags?${query}`);
        expect(answer).to.include({ status: 400, code: 'PAGINATION_NUMBER_INVALID' });
      });
    }
  });

  describe('locks', () => {
    const refused = { status: 405, code: 'REGISTRY_DISALLOWED_OPERATION' };
    const manifests = `/v2/${name}/manifests`;
    const tagPath = `${here}/_tags/b`;
    const manifestPath = `${here}/_manifests/${digestOne}`;

    /** A blob that an image needs cannot be deleted, locked or not. */
    const unneeded = Buffer.from('needed by no image');

    /** Everything that a lock may stand against, in the repository `at`. */
    const requests: Readonly<Record<string, (at: string) => Promise<Answer>>> = {
      'push the tag': (at) => put('b', second, at),
      'push its image again': (at) => put('b', first, at),
      'push another tag': (at) => put('new', second, at),
      'push with the tag among others': (at) => put(`${second.manifest.digest}?tag=x&tag=b`, second, at),
      untag: (at) => server.ask('DELETE', `/acr/v1/${at}/_tags/b`),
      'delete the tag': (at) => server.ask('DELETE', `/v2/${at}/manifests/b`),
      'delete the manifest': (at) => server.ask('DELETE', `/v2/${at}/manifests/${digestOne}`),
      'delete a blob': (at) => server.ask('DELETE', `/v2/${at}/blobs/${digestOf(unneeded)}`),
      'delete the repository': (at) => server.ask('DELETE', `/acr/v1/${at}`),
      'upload a blob': (at) => server.ask('POST', `/v2/${at}/blobs/uploads/`),
      'pull by tag': (at) => server.ask('GET', `/v2/${at}/manifests/b`),
      'pull by another tag': (at) => server.ask('GET', `/v2/${at}/manifests/c`),
      'pull by digest': (at) => server.ask('GET', `/v2/${at}/manifests/${digestOne}`),
      'pull a blob': (at) => server.ask('GET', `/v2/${at}/blobs/${digestOf(first.blobs[1]!)}`),
    };
    const pushes = ['push the tag', 'push its image again', 'push with the tag among others'];
    const untags = ['untag', 'delete the tag'];
    const deletes = ['delete the manifest', 'delete a blob', 'delete the repository'];
    const pulls = ['pull by tag', 'pull by another tag', 'pull by digest'];
    const [onTag, onManifest, onRepository] = ['/_tags/b', `/_manifests/${digestOne}`, ''];
    const cases: readonly (readonly [string, string, object, readonly string[]])[] = [
      ['a tag against writes', onTag, { writeEnabled: false }, [...pushes, ...untags, ...deletes]],
      ['a tag against deletes', onTag, { deleteEnabled: false }, [...untags, ...deletes]],
      ['a tag against reads', onTag, { readEnabled: false }, ['pull by tag']],
      ['a manifest against writes', onManifest, { writeEnabled: false }, ['push its image again', ...deletes]],
      ['a manifest against deletes', onManifest, { deleteEnabled: false }, deletes],
      ['a manifest against reads', onManifest, { readEnabled: false }, pulls],
      [
        'a repository against writes',
        onRepository,
        { writeEnabled: false },
        [...pushes, 'push another tag', 'upload a blob', ...untags, ...deletes],
      ],
      ['a repository against deletes', onRepository, { deleteEnabled: false }, [...untags, ...deletes]],
      ['a repository against reads', onRepository, { readEnabled: false }, [...pulls, 'pull a blob']],
    ];
    for (const [what, on, attributes, expected] of cases) {
      it(`on ${what} refuse that and allow the rest`, async () => {
        const answers: Record<string, object> = {};
        for (const [index, [request, send]] of Object.entries(requests).entries()) {
          const at = repository(`plant/lock${index}`);
          await pushImage(server.store.local, at, first, tag('b'));
          await pushImage(server.store.local, at, first, tag('c'));
          await pushImage(server.store.local, at, second, tag('a'));
          await pushBlob(server.store.local, at, unneeded);
          await lock(`/acr/v1/${at}${on}`, attributes);
          const { status, code } = await send(at);
          answers[request] = status < 300 ? {} : { status, code };
        }
        const wanted = Object.keys(requests).map((request) => [request, expected.includes(request) ? refused : {}]);
        expect(answers).to.deep.equal(Object.fromEntries(wanted));
      });
    }

    it('hide from listings what is not to be listed, and nothing else', async () => {
      await lock(tagPath, { listEnabled: false });
      await lock(manifestPath, { listEnabled: false });
      expect(namesIn(await get(`${here}/_tags`))).to.deep.equal(['a', 'c']);
      expect((await get(`/v2/${name}/tags/list`))['tags']).to.deep.equal(['a', 'c']);
      expect((await get(`${here}/_manifests`))['manifests']).to.have.length(1);
      await lock(here, { listEnabled: false });
      for (const path of ['/v2/_catalog', '/acr/v1/_catalog'])
        expect((await get(path))['repositories']).to.deep.equal([]);
      expect(await get(tagPath)).to.have.nested.property('tag.changeableAttributes.listEnabled', false);
      expect((await server.ask('GET', `${manifests}/b`)).status).to.equal(200);
    });

    it('add up, and end when everything is allowed again', async () => {
      await lock(tagPath, { writeEnabled: false });
      const answer = json(await patch(tagPath, { changeableAttributes: { listEnabled: false } }));
      const locked = { ...everything, writeEnabled: false, listEnabled: false };
      expect(answer).to.have.nested.property('tag.changeableAttributes').that.deep.equals(locked);
      await lock(tagPath, { writeEnabled: true, listEnabled: true });
      expect((await put('b', second)).status).to.equal(201);
    });

    it('end with what they lock', async () => {
      await lock(tagPath, { listEnabled: false });
      await lock(here, { listEnabled: false });
      expect((await server.ask('DELETE', here)).status).to.equal(202);
      await pushImage(server.store.local, name, first, tag('b'));
      expect(await get(here))
        .to.have.property('changeableAttributes')
        .that.deep.equals(everything);
      expect(await get(tagPath))
        .to.have.nested.property('tag.changeableAttributes')
        .that.deep.equals(everything);
    });

    it('let through what comes from the parent, and stay', async () => {
      await lock(tagPath, { writeEnabled: false });
      await server.store.replica.putManifest(name, second.manifest, { tag: tag('b') });
      expect(await server.store.resolveTag(name, tag('b'))).to.equal(second.manifest.digest);
      expect(await put('b')).to.include(refused);
      expect(await server.store.replica.deleteTag(name, tag('b'))).to.equal(true);
    });

    it('say what is locked', async () => {
      await lock(tagPath, { deleteEnabled: false });
      const [error] = json(await server.ask('DELETE', `${manifests}/b`))['errors'] as Record<string, unknown>[];
      expect(error?.['detail']).to.deep.equal({ action: 'delete', locked: 'b' });
    });

    for (const body of ['', '[]', '{"writeEnabled":"no"}', '{"writeable":false}', ' '.repeat(5000)]) {
      it(`are not changed by ${body.slice(0, 25) || 'nothing'}`, async () => {
        const answer = await server.ask('PATCH', tagPath, { body });
        expect(answer).to.include({ status: 400, code: 'ATTRIBUTES_INVALID' });
      });
    }

    it('are changed by those who may, in a ReadWrite registry that is active', async () => {
      for (const path of [here, tagPath, manifestPath]) {
        expect(await patch(path, {}, reader)).to.include({ status: 403, code: 'DENIED' });
        expect(await server.ask('GET', path, { as: reader })).to.include({ status: 200 });
      }
      for (const [state, code] of [
        [{ mode: 'ReadOnly' }, 'UNSUPPORTED'],
        [{ refusal: 'ALREADY_ACTIVATED' }, 'ALREADY_ACTIVATED'],
        [{ refusal: 'INACTIVE' }, 'INACTIVE'],
      ] as const) {
        server.state = { mode: 'ReadWrite', quotaBytes: 0, auditLog: false, ...state };
        for (const path of [here, tagPath]) {
          expect(await patch(path, {})).to.include({ code });
          expect(await server.ask('DELETE', path)).to.include({ code });
        }
      }
    });
  });

  describe('deletes', () => {
    it('take a tag only', async () => {
      expect((await server.ask('DELETE', `${here}/_tags/b`)).status).to.equal(202);
      expect(await server.store.resolveTag(name, tag('b'))).to.equal(undefined);
      expect(await server.store.resolveTag(name, tag('c'))).to.equal(digestOne);
      expect(await server.ask('DELETE', `${here}/_tags/b`)).to.include({ status: 404, code: 'MANIFEST_UNKNOWN' });
    });

    it('take a whole repository, tell what went, and wake what carries it on', async () => {
      const { head } = server.store.journal;
      const answer = await server.ask('DELETE', here);
      expect(answer.status).to.equal(202);
      expect(json(answer)).to.deep.equal({
        manifestsDeleted: [digestOne, second.manifest.digest].sort(),
        tagsDeleted: digestOne < second.manifest.digest ? ['b', 'c', 'a'] : ['a', 'b', 'c'],
      });
      expect(server.changes()).to.equal(1);
      const changes = [];
      for await (const change of server.store.journal.readAfter(head)) changes.push(change);
      expect(changes.map(({ action, origin }) => [action, origin])).to.deep.equal([
        ['delete', 'local'],
        ['delete', 'local'],
      ]);
      expect(await server.ask('GET', here)).to.include({ status: 404, code: 'NAME_UNKNOWN' });
      expect(await server.ask('DELETE', here)).to.include({ status: 404, code: 'NAME_UNKNOWN' });
    });
  });

  describe('audit lines', () => {
    it('tell of pushes, deletes, attribute changes, logins and refused access, but not of invitations', async () => {
      await patch(`${here}/_tags/b`, { writeEnabled: false });
      server.state = { ...server.state, auditLog: true };
      const manifest = `/v2/${name}/manifests`;
      await put('d', second);
      await put('b', second);
      await patch(`${here}/_tags/a`, { listEnabled: false });
      await server.ask('DELETE', `${here}/_tags/c`, { as: writer });
      await server.ask('GET', '/acr/oauth2/token', { as: writer });
      await server.ask('GET', `${manifest}/a`, { as: undefined });
      await server.ask('GET', `${manifest}/a`, { as: 'reader:wrong' });
      await server.ask('GET', `/v2/secret/b/manifests/v1`, { as: reader });
      await server.ask('GET', `${manifest}/a`, { as: reader });
      const lines = server.log.lines.filter(({ message }) => message === 'Audit').map(({ fields }) => fields ?? {});
      const told = lines.map((line) => ['principal', 'action', 'reference', 'status'].map((key) => line[key]));
      expect(told).to.deep.equal([
        ['admin', 'PUT content/write', 'd', 201],
        ['admin', 'PUT content/write', 'b', 405],
        ['writer', 'PATCH metadata/write', 'a', 200],
        ['writer', 'DELETE content/delete', 'c', 202],
        ['writer', 'login', undefined, 200],
        ['anonymous', 'GET content/read', 'a', 401],
        ['reader', 'GET content/read', 'v1', 403],
      ]);
      expect(JSON.stringify(server.log.lines)).not.to.match(/-password|wrong"/);
    });
  });
});
