import { expect } from 'chai';
import fc from 'fast-check';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { endpoints } from '../../modules/registry/src/http/endpoints.ts';
import { parseParameters } from '../../modules/registry/src/http/parameters.ts';
import { createRouter } from '../../modules/registry/src/http/router.ts';
import { parseRepositoryName } from '../../modules/registry/src/oci/names.ts';

const route = createRouter(endpoints);
const sha256 = `sha256:${'a'.repeat(64)}`;
const session = '/v2/plant/hello/blobs/uploads/0b2f3c1e-1111-4222-8333-444455556666';

/** distribution-spec 1.1 (and main), "Endpoints": what must be routed, and to which row. */
const specification: readonly (readonly [string, string, string])[] = [
  ['end-1', 'GET', '/v2/'],
  ['end-2', 'GET', `/v2/plant/hello/blobs/${sha256}`],
  ['end-2', 'HEAD', `/v2/plant/hello/blobs/${sha256}`],
  ['end-3', 'GET', '/v2/plant/hello/manifests/v1'],
  ['end-3', 'HEAD', `/v2/plant/hello/manifests/${sha256}`],
  ['end-4', 'POST', '/v2/plant/hello/blobs/uploads/'],
  ['end-5', 'PATCH', session],
  ['end-6', 'PUT', session],
  ['end-7', 'PUT', '/v2/plant/hello/manifests/v1'],
  ['end-8', 'GET', '/v2/plant/hello/tags/list'],
  ['end-9', 'DELETE', '/v2/plant/hello/manifests/v1'],
  ['end-10', 'DELETE', `/v2/plant/hello/blobs/${sha256}`],
  ['end-12', 'GET', `/v2/plant/hello/referrers/${sha256}`],
  ['end-13', 'GET', session],
  ['end-14', 'DELETE', session],
  ['catalog', 'GET', '/v2/_catalog'],
  ['token', 'GET', '/acr/oauth2/token'],
  ['token', 'POST', '/oauth2/token'],
  ['acr-catalog', 'GET', '/acr/v1/_catalog'],
  ['acr-repository', 'GET', '/acr/v1/plant/hello'],
  ['acr-repository', 'PATCH', '/acr/v1/plant/hello'],
  ['acr-repository', 'DELETE', '/acr/v1/plant/hello'],
  ['acr-tags', 'GET', '/acr/v1/plant/hello/_tags'],
  ['acr-tag', 'GET', '/acr/v1/plant/hello/_tags/v1'],
  ['acr-tag', 'PATCH', '/acr/v1/plant/hello/_tags/v1'],
  ['acr-tag', 'DELETE', '/acr/v1/plant/hello/_tags/v1'],
  ['acr-manifests', 'GET', '/acr/v1/plant/hello/_manifests'],
  ['acr-manifest', 'GET', `/acr/v1/plant/hello/_manifests/${sha256}`],
  ['acr-manifest', 'PATCH', `/acr/v1/plant/hello/_manifests/${sha256}`],
  ['extensions', 'GET', '/v2/_oci/ext/discover'],
  ['extensions', 'GET', '/v2/plant/hello/_oci/ext/discover'],
  ['gateway-activation', 'GET', '/acr/gateway/plant7line3/activation'],
  ['gateway-activation', 'PUT', '/acr/gateway/plant7line3/activation'],
  ['gateway-activation', 'DELETE', '/acr/gateway/plant7line3/activation'],
  ['gateway-status', 'PUT', '/acr/gateway/plant7line3/status'],
  ['gateway-messages', 'GET', '/acr/gateway/plant7line3/messages'],
  ['gateway-contents', 'POST', '/acr/gateway/plant7line3/contents'],
];

describe('createRouter()', () => {
  for (const [id, method, path] of specification) {
    it(`finds ${id}, ${method} ${path}`, () => {
      const match = route(method, path);
      expect(match.kind === 'found' && match.endpoint.id).to.equal(id);
    });
  }

  it('has no row that the list above does not know', () => {
    expect(new Set(endpoints.map(({ id }) => id))).to.deep.equal(new Set(specification.map(([id]) => id)));
  });

  it('names the methods, for a path that takes others', () => {
    expect(route('PATCH', '/v2/plant/hello/manifests/v1')).to.deep.equal({
      kind: 'wrong-method',
      allowed: ['GET', 'HEAD', 'PUT', 'DELETE'],
    });
  });

  for (const path of ['/', '/v3/', '/v2/plant', '/v2/plant/hello/blobs', '/v2x', '/acr', '/v2/plant/tags/list/x']) {
    it(`knows nothing of ${path}`, () => expect(route('GET', path).kind).to.equal('unknown'));
  }

  it('takes the last fitting words as the endpoint, whatever a repository is called', () => {
    for (const name of ['blobs', 'tags/list', 'a/manifests/b', 'x/blobs/uploads', 'v2/referrers']) {
      const match = route('GET', `/v2/${name}/manifests/v1`);
      expect(match.kind === 'found' && match.raw).to.include({ name, reference: 'v1' });
    }
  });
});

describe('parseParameters()', () => {
  const codeOf = (raw: Record<string, string>): string => {
    try {
      parseParameters(raw, 'GET');
      return 'accepted';
    } catch (error) {
      return error instanceof RegistryError ? error.code : String(error);
    }
  };

  it('takes an encoded colon in a digest', () => {
    expect(parseParameters({ digest: sha256.replace(':', '%3A') }, 'GET').digest).to.equal(sha256);
  });

  const refused: readonly (readonly [string, Record<string, string>])[] = [
    ['NAME_INVALID', { name: '..' }],
    ['NAME_INVALID', { name: 'a/../b' }],
    ['NAME_INVALID', { name: '%2e%2e%2fetc' }],
    ['NAME_INVALID', { name: 'Plant' }],
    ['NAME_INVALID', { name: '%' }],
    ['NAME_INVALID', { name: 'a'.repeat(256) }],
    ['NAME_INVALID', { name: 'a%00' }],
    ['DIGEST_INVALID', { digest: 'sha256:abc' }],
    ['DIGEST_INVALID', { digest: `md5:${'a'.repeat(32)}` }],
    ['DIGEST_INVALID', { reference: `sha256:${'A'.repeat(64)}` }],
    ['MANIFEST_UNKNOWN', { reference: '.hidden' }],
    ['MANIFEST_UNKNOWN', { reference: 'a'.repeat(129) }],
    ['TAG_INVALID', { tag: '.hidden' }],
    ['BLOB_UPLOAD_UNKNOWN', { upload: '..%2fblobs' }],
  ];
  for (const [code, raw] of refused) {
    it(`answers ${code} to ${JSON.stringify(raw).slice(0, 60)}`, () => expect(codeOf(raw)).to.equal(code));
  }

  it('accepts exactly the names of the grammar, however they are encoded', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9._/%-]{1,40}$/)), (text) => {
        const encoded = encodeURIComponent(text);
        expect(codeOf({ name: encoded }) === 'accepted').to.equal(parseRepositoryName(text) !== undefined);
      }),
    );
  });
});
