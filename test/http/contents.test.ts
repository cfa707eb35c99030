import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { decodeRecords, recordsLimit, recordsMediaType } from '../../modules/registry/src/oci/content-records.ts';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { reader, startRegistry, type Answer, type RegistryServer } from './registry-server.ts';

const child = 'childsync:child-password';
const path = '/acr/gateway/plant7line3/contents';
const [hello, office] = [repository('plant/hello'), repository('office/hello')];
const image = sampleImage(['small layer', randomBytes(100_000)]);
const [config, small, large] = image.blobs.map((bytes) => digestOf(bytes));
const absent = digestOf(Buffer.from('nowhere'));

describe('gateway-contents', () => {
  let server: RegistryServer;

  beforeEach(async () => {
    server = await startRegistry();
    const hash = await hashPassword('child-password', { ln: 10 });
    const passwords = [{ name: 'password1', hash, expiry: undefined }];
    const line3 = {
      ...{ name: 'plant7line3', mode: 'ReadOnly' as const, repositories: [parseRepositoryPattern('plant/*')!] },
      syncToken: { name: 'childsync', status: 'enabled' as const, passwords },
    };
    server.applyAccounts({ clientTokens: [], scopeMaps: [], children: [line3] });
    for (const name of [hello, office]) await pushImage(server.store.local, name, image, tag('v1'));
  });
  afterEach(() => server.close());

  const ask = (wanted: unknown, as: string | undefined = child): Promise<Answer> =>
    server.ask('POST', path, { as, body: JSON.stringify({ wanted }) });

  /** What was given, by its text; `undefined` for what was left out. */
  async function given(answer: Answer): Promise<(string | undefined)[]> {
    expect(answer).to.include({ status: 200 });
    expect(answer.headers['content-type']).to.equal(recordsMediaType);
    const records: (string | undefined)[] = [];
    for await (const { bytes, mediaType } of decodeRecords(Readable.from([answer.body]))) {
      records.push(mediaType ?? bytes?.toString());
    }
    return records;
  }

  it('gives manifests and small blobs in the order in which they were asked for', async () => {
    const { digest, mediaType } = image.manifest;
    const answer = await ask([
      { repository: hello, blob: small },
      { repository: hello, manifest: digest },
      { repository: hello, blob: config },
    ]);
    expect(await given(answer)).to.deep.equal(['small layer', mediaType, image.blobs[0]!.toString()]);
    expect(answer.body.includes(image.manifest.bytes)).to.equal(true);
  });

  it('leaves out what is not here, what is large, and what this child may not read', async () => {
    const { digest } = image.manifest;
    const answer = await ask([
      { repository: hello, blob: absent },
      { repository: hello, manifest: absent },
      { repository: hello, blob: large },
      { repository: office, blob: small },
      { repository: office, manifest: digest },
      { repository: repository('plant/other'), blob: small },
      { repository: hello, blob: small },
    ]);
    expect(await given(answer)).to.deep.equal([...Array<undefined>(6), 'small layer']);
  });

  it('leaves out what is locked against pulls', async () => {
    const wanted = [
      { repository: hello, manifest: image.manifest.digest },
      { repository: hello, blob: small },
    ];
    await server.store.locks.change(hello, image.manifest.digest, { readEnabled: false });
    expect(await given(await ask(wanted))).to.deep.equal([undefined, 'small layer']);
    await server.store.locks.change(hello, undefined, { readEnabled: false });
    expect(await given(await ask(wanted))).to.deep.equal([undefined, undefined]);
  });

  it('is the child’s own, and closed while this registry is not active', async () => {
    expect((await server.ask('POST', path, { as: undefined })).status).to.equal(401);
    expect((await ask([], reader)).status).to.equal(401);
    expect((await server.ask('POST', '/acr/gateway/otherchild/contents', { as: child })).code).to.equal('DENIED');
    server.state = { ...server.state, refusal: 'INACTIVE' };
    expect((await ask([])).code).to.equal('INACTIVE');
  });

  it('answers a list of nothing with nothing', async () => {
    expect(await given(await ask([]))).to.deep.equal([]);
  });

  for (const [what, wanted] of [
    ['no list', 'everything'],
    ['too long a list', Array.from({ length: recordsLimit + 1 }, () => ({ repository: hello, blob: absent }))],
    ['something that is no content', [null]],
    ['a repository that is none', [{ repository: 'Plant', blob: absent }]],
    ['a tag', [{ repository: hello, manifest: 'v1' }]],
    ['no digest', [{ repository: hello }]],
  ] as const) {
    it(`refuses ${what} with GATEWAY_INVALID`, async () => {
      expect((await ask(wanted)).code).to.equal('GATEWAY_INVALID');
    });
  }
});
