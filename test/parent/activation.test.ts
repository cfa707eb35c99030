import { expect } from 'chai';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { answerError, answerJson, failureOf, withParent, type Script } from './scripted-registry.ts';

const self = { registryName: 'plant7line3', instanceId: 'this-instance', version: '0.1.0' };
const asked = { mode: 'ReadOnly', repositories: [parseRepositoryPattern('plant/*')!] } as const;
const path = '/acr/gateway/plant7line3/activation';

/** A registry of another kind: `/v2/` works, and `other` answers whatever it does not know. */
const otherKind =
  (other: Script): Script =>
  (seen, response) =>
    seen.url.pathname.startsWith('/v2') ? response.writeHead(200).end() : other(seen, response);

describe('activate() of the parent', () => {
  const strangers: Readonly<Record<string, Script>> = {
    'answers 404': (_, response) => answerError(response, 404, 'NOT_FOUND'),
    'answers 405': (_, response) => response.writeHead(405).end(),
    'answers 401 whatever it is offered': (_, response) => answerError(response, 401, 'UNAUTHORIZED'),
    'answers 403': (_, response) => answerError(response, 403, 'DENIED'),
    'answers a page': (_, response) => response.writeHead(200).end('<html>'),
    'has a token service that refuses such a scope': ({ url, headers }, response) => {
      if (url.pathname === '/token') {
        url.search.includes('gateway')
          ? answerError(response, 401, 'UNAUTHORIZED')
          : answerJson(response, { token: 't' });
        return;
      }
      const challenge = `Bearer realm="http://${headers.host ?? ''}/token",service="s"`;
      return response.writeHead(401, { 'www-authenticate': challenge }).end();
    },
  };
  for (const [what, script] of Object.entries(strangers)) {
    it(`finds no activation at a parent that ${what}, and does not ask again`, async () => {
      await withParent(
        otherKind(script),
        async ({ parent, lines }) => {
          expect(await parent.activate(asked)).to.equal(false);
          expect(lines).to.include(`PUT ${path}`);
          lines.length = 0;
          expect(await parent.activate(asked)).to.equal(false);
          expect(lines).to.deep.equal([]);
        },
        { self },
      );
    });
  }

  it('does not take a parent that is away for one of another kind', async () => {
    const script: Script = (_, response) => response.writeHead(503).end();
    const options = { self, patience: { attempts: 1 } };
    await withParent(
      script,
      async ({ parent }) => expect(await failureOf(parent.activate(asked))).to.include({ status: 503 }),
      options,
    );
  });

  it('tells who it is and what it wants', async () => {
    const script: Script = (_, response) => answerJson(response, {}, { 'connected-registry': 'gateway' });
    await withParent(
      script,
      async ({ parent, seen }) => {
        expect(await parent.activate(asked)).to.equal(true);
        await parent.deactivate();
        expect(seen.map(({ line }) => line)).to.deep.equal([`PUT ${path}`, `DELETE ${path}?instance=this-instance`]);
        expect(JSON.parse(seen[0]!.body.toString())).to.deep.equal({
          ...{ instanceId: 'this-instance', version: '0.1.0' },
          ...{ mode: 'ReadOnly', repositories: ['plant/*'] },
        });
      },
      { self },
    );
  });

  it('asks nothing without a name of its own', async () => {
    await withParent(otherKind(strangers['answers 404']!), async ({ parent, lines }) => {
      expect(await parent.activate(asked)).to.equal(false);
      await parent.deactivate();
      expect(lines).to.deep.equal([]);
    });
  });
});
