import { expect } from 'chai';
import { parseScopes } from '../../modules/registry/src/auth/scope.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { pushImage, sampleImage } from '../helpers/images.ts';
import { repository, tag } from '../helpers/names.ts';
import { admin, json, reader, startRegistry, writer, type Answer, type RegistryServer } from './registry-server.ts';

const name = repository('plant/hello');
const manifestPath = `/v2/${name}/manifests/v1`;
const uploads = `/v2/${name}/blobs/uploads/`;

interface Token {
  readonly access_token: string;
  readonly token: string;
  readonly refresh_token?: string;
  readonly expires_in: number;
  readonly issued_at: string;
}

describe('access', () => {
  let server: RegistryServer;
  before(async () => {
    server = await startRegistry({ trustedProxies: ['loopback'] });
    for (const one of ['plant/a', 'plant/hello', 'secret/b', 'plant/z']) {
      await pushImage(server.store.local, repository(one), sampleImage([one]), tag('v1'));
    }
  });
  after(() => server.close());

  const tokenFor = async (who: string, query: string): Promise<Token> => {
    const answer = await server.ask('GET', `/acr/oauth2/token?service=edge&${query}`, { as: who });
    expect(answer.status).to.equal(200);
    return json(answer) as unknown as Token;
  };
  const challenge = (answer: Answer): string => String(answer.headers['www-authenticate']);
  const form = (fields: Record<string, string>): Promise<Answer> =>
    server.ask('POST', '/acr/oauth2/token', {
      as: undefined,
      body: new URLSearchParams(fields).toString(),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    });

  describe('challenges', () => {
    const anonymous: readonly (readonly [string, string, string | undefined])[] = [
      ['GET', '/v2/', undefined],
      ['GET', manifestPath, `repository:${name}:pull`],
      ['GET', '/v2/plant/missing/manifests/v1', 'repository:plant/missing:pull'],
      ['GET', `/v2/${name}/tags/list`, `repository:${name}:pull`],
      ['POST', uploads, `repository:${name}:pull,push`],
      ['DELETE', manifestPath, `repository:${name}:pull,delete`],
      ['GET', '/v2/_catalog', 'registry:catalog:*'],
    ];
    for (const [method, path, scope] of anonymous) {
      it(`sends nobody from ${method} ${path} to the token endpoint`, async () => {
        const answer = await server.ask(method, path, { as: undefined });
        expect(answer).to.include({ status: 401, code: 'UNAUTHORIZED' });
        const wanted = `Bearer realm="http://${server.host}/acr/oauth2/token",service="${server.host}"`;
        expect(challenge(answer)).to.equal(scope === undefined ? wanted : `${wanted},scope="${scope}"`);
      });
    }

    it('does not tell a missing repository from one that is there', async () => {
      for (const as of [undefined, reader]) {
        const [there, missing] = await Promise.all(
          ['secret/b', 'secret/c'].map((one) => server.ask('GET', `/v2/${one}/manifests/v1`, { as })),
        );
        expect(there!.status).to.equal(missing!.status);
        expect(there!.body.toString()).to.equal(missing!.body.toString());
      }
    });

    for (const as of ['reader:wrong', 'nobody:at-all']) {
      it(`answers UNAUTHORIZED to ${as}`, async () => {
        const answer = await server.ask('GET', '/v2/', { as });
        expect(answer).to.include({ status: 401, code: 'UNAUTHORIZED' });
        expect(challenge(answer)).not.to.contain('error=');
      });
    }

    // docker takes a code with its own default message for the bare code, and tries again for 50 seconds.
    it('refuses nobody in the words that make docker try again', async () => {
      for (const path of ['/v2/', '/acr/oauth2/token']) {
        const answer = await server.ask('GET', path, { as: undefined });
        const [error] = json(answer)['errors'] as { code: string; message: string }[];
        expect(error?.code).to.equal('UNAUTHORIZED');
        expect(error?.message).to.contain('authentication required').and.not.equal('authentication required');
      }
    });

    it('names an invalid token', async () => {
      const answer = await server.ask('GET', '/v2/', { as: 'no.such.token' });
      expect(answer).to.include({ status: 401, code: 'UNAUTHORIZED' });
      expect(challenge(answer)).to.contain('error="invalid_token"');
    });

    it('names an expired token', async () => {
      const { access_token, expires_in } = await tokenFor(reader, `scope=repository:${name}:pull`);
      expect((await server.ask('GET', manifestPath, { as: access_token })).status).to.equal(200);
      await server.clock.advance((expires_in + 120) * 1000);
      const answer = await server.ask('GET', manifestPath, { as: access_token });
      expect(answer.status).to.equal(401);
      expect(challenge(answer)).to.contain('error="invalid_token"');
    });

    it('sends no body to HEAD', async () => {
      const answer = await server.ask('HEAD', manifestPath, { as: undefined });
      expect([answer.status, answer.body.length]).to.deep.equal([401, 0]);
    });
  });

  describe('forwarded headers', () => {
    const headers = { 'X-Forwarded-Host': 'edge.plant.local:8000', 'X-Forwarded-Proto': 'https' };

    it('count from a trusted proxy', async () => {
      const answer = await server.ask('GET', '/v2/', { as: undefined, headers });
      expect(challenge(answer)).to.equal(
        'Bearer realm="https://edge.plant.local:8000/acr/oauth2/token",service="edge.plant.local:8000"',
      );
    });

    it('do not count from anybody else', async () => {
      const strict = await startRegistry({ trustedProxies: ['10.0.0.0/8'] });
      try {
        const answer = await strict.ask('GET', '/v2/', { as: undefined, headers });
        expect(challenge(answer)).to.contain(`realm="http://${strict.host}/acr/`);
      } finally {
        await strict.close();
      }
    });

    it('cannot break out of the challenge', async () => {
      const answer = await server.ask('GET', '/v2/', { as: undefined, headers: { 'X-Forwarded-Host': 'a",realm="b' } });
      expect(challenge(answer)).to.contain(`realm="http://${server.host}/acr/`);
    });

    it('name the client in the audit log', async () => {
      server.state = { ...server.state, auditLog: true };
      await server.ask('POST', uploads, { headers: { 'X-Forwarded-For': '192.0.2.7' } });
      server.state = { ...server.state, auditLog: false };
      expect(server.log.lines.at(-1)?.fields?.['client']).to.equal('192.0.2.7');
    });
  });

  describe('login server', () => {
    it('serves only requests that are addressed to it', async () => {
      const named = await startRegistry({ loginServer: 'edge.plant.local', trustedProxies: ['loopback'] });
      try {
        expect(await named.ask('GET', '/v2/')).to.include({ status: 421, code: 'HOST_UNKNOWN' });
        const addressed: Record<string, string>[] = [
          { Host: 'edge.plant.local' },
          { 'X-Forwarded-Host': 'EDGE.plant.local:443' },
        ];
        for (const headers of addressed) {
          expect((await named.ask('GET', '/v2/', { headers })).status).to.equal(200);
        }
      } finally {
        await named.close();
      }
    });
  });

  describe('scopes', () => {
    const cases: readonly (readonly [string, string, string, number])[] = [
      ['reader', 'GET', manifestPath, 200],
      ['reader', 'POST', uploads, 403],
      ['reader', 'DELETE', manifestPath, 403],
      ['reader', 'GET', '/v2/secret/b/manifests/v1', 403],
      ['writer', 'POST', uploads, 202],
      ['writer', 'POST', '/v2/secret/b/blobs/uploads/', 403],
      ['admin', 'GET', '/v2/secret/b/manifests/v1', 200],
    ];
    for (const [who, method, path, status] of cases) {
      it(`answers ${status} to ${who}, ${method} ${path}`, async () => {
        const answer = await server.ask(method, path, { as: { reader, writer, admin }[who] });
        expect(answer.status).to.equal(status);
        if (status === 403) expect(answer.code).to.equal('DENIED');
      });
    }

    it('asks for a wider token where its owner may have one', async () => {
      const { access_token } = await tokenFor(writer, `scope=repository:${name}:pull`);
      const narrow = await server.ask('POST', uploads, { as: access_token });
      expect(narrow).to.include({ status: 401, code: 'DENIED' });
      expect(challenge(narrow)).to.contain('error="insufficient_scope"');
      const scope = /scope="([^"]+)"/.exec(challenge(narrow))![1]!;
      const wide = await tokenFor(writer, `scope=${encodeURIComponent(scope)}`);
      expect((await server.ask('POST', uploads, { as: wide.access_token })).status).to.equal(202);
    });

    it('answers DENIED to a token whose owner may never', async () => {
      const { access_token } = await tokenFor(reader, `scope=repository:${name}:pull,push`);
      const answer = await server.ask('POST', uploads, { as: access_token });
      expect(answer).to.include({ status: 403, code: 'DENIED' });
      expect(answer.headers['www-authenticate']).to.equal(undefined);
    });
  });

  describe('token', () => {
    it('covers repeated and merged scopes', async () => {
      for (const query of [
        'scope=repository:plant/a:pull&scope=repository:plant/hello:pull',
        'scope=repository:plant/a:pull%20repository:plant/hello:pull',
      ]) {
        expect(parseScopes(new URLSearchParams(query).getAll('scope'))).to.have.length(2);
        const { access_token, token, expires_in, issued_at } = await tokenFor(reader, query);
        expect(token).to.equal(access_token);
        expect(expires_in).to.be.greaterThan(60);
        expect(new Date(issued_at).getTime()).to.equal(server.clock.now().getTime());
        for (const one of ['plant/a', 'plant/hello']) {
          expect((await server.ask('GET', `/v2/${one}/manifests/v1`, { as: access_token })).status).to.equal(200);
        }
        expect((await server.ask('GET', '/v2/plant/z/manifests/v1', { as: access_token })).status).to.equal(401);
      }
    });

    it('proves a login without any scope', async () => {
      const { access_token, refresh_token } = await tokenFor(reader, 'account=reader');
      expect(refresh_token).to.equal(undefined);
      expect((await server.ask('GET', '/v2/', { as: access_token })).status).to.equal(200);
    });

    it('comes for a password in a form, and again for its refresh token', async () => {
      const [username = '', password = ''] = reader.split(':');
      const scope = `repository:${name}:pull`;
      const first = await form({ grant_type: 'password', username, password, scope, access_type: 'offline' });
      expect(first.status).to.equal(200);
      const { refresh_token } = json(first) as unknown as Token;
      const second = await form({ grant_type: 'refresh_token', refresh_token: refresh_token!, scope });
      expect(second.headers['cache-control']).to.equal('no-store');
      const { access_token } = json(second) as unknown as Token;
      expect((await server.ask('GET', manifestPath, { as: access_token })).status).to.equal(200);
    });

    it('gives a refresh token for offline_token', async () => {
      expect((await tokenFor(reader, 'offline_token=true')).refresh_token).to.be.a('string');
    });

    const refused: readonly (readonly [string, Record<string, string>])[] = [
      ['a wrong password', { grant_type: 'password', username: 'reader', password: 'wrong' }],
      ['a made-up refresh token', { grant_type: 'refresh_token', refresh_token: 'x.y.z' }],
      ['another grant', { grant_type: 'client_credentials' }],
      ['an empty form', {}],
      ['a form that is too large', { grant_type: 'password', username: 'x'.repeat(100_000) }],
    ];
    for (const [what, fields] of refused) {
      it(`is refused to ${what}`, async () => {
        expect(await form(fields)).to.include({ status: 401, code: 'UNAUTHORIZED' });
      });
    }

    it('is refused to nobody, to a wrong password and to a bearer token', async () => {
      const { access_token } = await tokenFor(reader, '');
      for (const as of [undefined, 'reader:wrong', access_token]) {
        const answer = await server.ask('GET', '/oauth2/token', { as });
        expect(answer).to.include({ status: 401, code: 'UNAUTHORIZED' });
        expect(challenge(answer)).to.match(/^Basic realm=/);
      }
    });
  });

  describe('an error nobody foresaw', () => {
    it('is met after the checks, and nothing internal leaks from it', async () => {
      const failing = Object.assign(Object.create(server.store) as Store, {
        findManifest: () => Promise.reject(new Error('internal text')),
      });
      const own = await startRegistry({ store: failing });
      try {
        const path = '/v2/plant/hello/manifests/latest';
        expect((await own.ask('GET', path, { as: undefined })).status).to.equal(401);
        const answer = await own.ask('GET', path);
        expect(answer).to.include({ status: 500, code: 'UNKNOWN' });
        expect(answer.body.toString()).not.to.contain('internal text');
        const { detail } = (json(answer)['errors'] as { detail: { correlationId: string } }[])[0]!;
        const line = own.log.lines.find(({ level }) => level === 'error');
        expect(line?.fields?.['correlationId']).to.equal(detail.correlationId);
        expect(own.samples.at(-1)).to.include({ endpoint: 'end-3', method: 'GET', status: 500 });
      } finally {
        await own.close();
      }
    });
  });

  describe('catalog', () => {
    const names = (answer: Answer): unknown => json(answer)['repositories'];

    it('shows each caller what it may see', async () => {
      expect(names(await server.ask('GET', '/v2/_catalog'))).to.deep.equal([
        'plant/a',
        'plant/hello',
        'plant/z',
        'secret/b',
      ]);
      expect(names(await server.ask('GET', '/v2/_catalog', { as: reader }))).to.deep.equal([
        'plant/a',
        'plant/hello',
        'plant/z',
      ]);
    });

    it('takes a token for registry:catalog:*', async () => {
      const { access_token } = await tokenFor(reader, 'scope=registry:catalog:*');
      expect(names(await server.ask('GET', '/v2/_catalog', { as: access_token }))).to.have.length(3);
    });

    for (const path of ['/v2/_catalog', '/acr/v1/_catalog']) {
      it(`pages over what is hidden, at ${path}`, async () => {
        const seen: unknown[] = [];
        let next: string | undefined = `${path}?n=1`;
        while (next !== undefined) {
          expect(next).to.contain(path);
          const answer = await server.ask('GET', next, { as: reader });
          seen.push(names(answer));
          next = /^<(.+)>; rel="next"$/.exec(String(answer.headers['link'] ?? ''))?.[1];
        }
        expect(seen).to.deep.equal([['plant/a'], ['plant/hello'], ['plant/z']]);
      });
    }
  });
});
