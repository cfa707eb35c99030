import { expect } from 'chai';
import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { mediaTypes } from '../../modules/registry/src/oci/media-types.ts';
import { blobPath } from '../../modules/registry/src/store/layout.ts';
import { pushBlob, pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { admin, authorization, reader, startRegistry, writer, type RegistryServer } from './registry-server.ts';

const plant = repository('plant/hello');
const [one, two] = [sampleImage(['one']), sampleImage(['two'])];
const path = '/v2/plant/hello/manifests/latest';

/** Each asks twice first: the second answer comes from memory, and the next must know what changed in between. */
describe('an answer from memory', () => {
  let server: RegistryServer;

  beforeEach(async () => {
    server = await startRegistry();
    await pushImage(server.store.local, plant, one, tag('latest'));
    await pushImage(server.store.local, plant, two, tag('other'));
  });
  afterEach(() => server.close());

  async function warm(as = reader, what = path): Promise<void> {
    const answers = [await server.ask('GET', what, { as }), await server.ask('GET', what, { as })];
    expect(answers.map(({ status }) => status)).to.deep.equal([200, 200]);
    const [first, second] = answers.map(({ headers }) => ({ ...headers, date: undefined }));
    expect(second).to.deep.equal(first);
    expect(answers[1]?.body).to.deep.equal(answers[0]?.body);
  }

  const statusOf = async (method: string, what: string, options: Parameters<RegistryServer['ask']>[2] = {}) =>
    (await server.ask(method, what, options)).status;

  it('is counted like any other', async () => {
    await warm();
    expect(server.samples.map(({ endpoint, status }) => [endpoint, status])).to.deep.equal([
      ['end-3', 200],
      ['end-3', 200],
    ]);
  });

  it('is not given after the tag has moved, here or by a sync', async () => {
    for (const target of [server.store.local, server.store.replica]) {
      await target.putManifest(plant, one.manifest, { tag: tag('latest') });
      await warm();
      await target.putManifest(plant, two.manifest, { tag: tag('latest') });
      expect((await server.ask('GET', path)).headers['docker-content-digest']).to.equal(two.manifest.digest);
    }
  });

  it('is not given after tag, manifest, blob or repository are gone', async () => {
    const bytes = Buffer.from('a small blob');
    const removals: [string, () => Promise<unknown>][] = [
      [path, () => server.store.local.deleteTag(plant, tag('latest'))],
      [
        `/v2/plant/hello/manifests/${one.manifest.digest}`,
        () => server.store.local.deleteManifest(plant, one.manifest.digest),
      ],
      [`/v2/plant/hello/manifests/${two.manifest.digest}`, () => server.store.deleteRepository(plant)],
    ];
    for (const [what, remove] of removals) {
      await warm(reader, what);
      await remove();
      expect(await statusOf('GET', what, { as: reader })).to.equal(404);
    }
    await pushBlob(server.store.local, plant, bytes);
    const digest = digestOf(bytes);
    await warm(reader, `/v2/plant/hello/blobs/${digest}`);
    expect(await statusOf('DELETE', `/v2/plant/hello/blobs/${digest}`)).to.equal(202);
    expect(await statusOf('GET', `/v2/plant/hello/blobs/${digest}`, { as: reader })).to.equal(404);
  });

  it('is not given after what it shows was locked against reading', async () => {
    await warm();
    await server.store.locks.change(plant, tag('latest'), { readEnabled: false });
    expect(await statusOf('GET', path, { as: reader })).to.equal(405);
  });

  it('is given only to those who may read, under their own credentials', async () => {
    await warm();
    expect(await statusOf('GET', path, { as: undefined })).to.equal(401);
    expect(await statusOf('GET', path, { as: 'reader:wrong' })).to.equal(401);
    expect(await statusOf('GET', path, { as: writer })).to.equal(200);
  });

  it('is not given to an account that was taken away, nor by an inactive registry', async () => {
    await warm(admin);
    server.state = { ...server.state, refusal: 'INACTIVE' };
    expect((await server.ask('GET', path)).code).to.equal('INACTIVE');
    server.state = { mode: 'ReadWrite', quotaBytes: 0, auditLog: false };
    await warm();
    server.applyAccounts({ clientTokens: [], scopeMaps: [], children: [] });
    expect(await statusOf('GET', path, { as: reader })).to.equal(401);
  });

  it('leaves parts, conditions and HEAD what they are', async () => {
    await warm();
    const head = await server.ask('HEAD', path, { as: reader });
    expect(head.body).to.have.length(0);
    expect(head.headers).to.include({
      'content-length': String(one.manifest.bytes.length),
      'content-type': mediaTypes.ociManifest,
      'docker-content-digest': one.manifest.digest,
    });
    const headers = { 'if-none-match': `"${one.manifest.digest}"` };
    expect(await statusOf('GET', path, { as: reader, headers })).to.equal(304);
    const blob = `/v2/plant/hello/blobs/${digestOf(one.blobs[0]!)}`;
    await warm(reader, blob);
    expect(await statusOf('GET', blob, { as: reader, headers: { range: 'bytes=0-0' } })).to.equal(206);
  });

  it('is given of a blob up to 1 MiB, whose file is not read again', async () => {
    const MiB = 1024 * 1024;
    for (const [sizeBytes, status] of [
      [64 * 1024 + 1, 200],
      [MiB, 200],
      [MiB + 1, 404],
    ] as const) {
      const bytes = Buffer.alloc(sizeBytes, 'layer');
      await pushBlob(server.store.local, plant, bytes);
      const digest = digestOf(bytes);
      await warm(reader, `/v2/plant/hello/blobs/${digest}`);
      await rm(blobPath(server.directory, digest));
      const answer = await server.ask('GET', `/v2/plant/hello/blobs/${digest}`, { as: reader });
      expect(answer.status).to.equal(status);
      if (status === 200) expect(answer.body.equals(bytes)).to.equal(true);
      expect(await statusOf('GET', `/v2/plant/hello/blobs/${digest}`, { headers: { range: 'bytes=0-0' } })).to.equal(
        404,
      );
    }
  });

  it('lets a stranger not borrow the name that a trusted proxy forwarded', async () => {
    const pinned = await startRegistry({ loginServer: 'edge.example', trustedProxies: ['127.0.0.1'] });
    try {
      await pushImage(pinned.store.local, plant, one, tag('latest'));
      const from = (localAddress: string): Promise<number | undefined> =>
        new Promise((resolve, reject) => {
          const headers = { authorization: authorization(reader), host: 'x', 'x-forwarded-host': 'edge.example' };
          request({ host: '127.0.0.1', port: pinned.port, path, headers, localAddress, agent: false }, (response) => {
            response.resume();
            resolve(response.statusCode);
          })
            .once('error', reject)
            .end();
        });
      expect([await from('127.0.0.1'), await from('127.0.0.1')]).to.deep.equal([200, 200]);
      expect(await from('127.0.0.2')).to.equal(421);
    } finally {
      await pinned.close();
    }
  });
});
