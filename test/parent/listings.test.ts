import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { repository } from '../helpers/names.ts';
import { all, answerError, answerJson, failureOf, withParent, type Script } from './scripted-registry.ts';

const plant = repository('plant/hello');
const digest = digestOf(Buffer.from('x'));

function notAcr(script: Script): Script {
  return (seen, response) => {
    if (seen.url.pathname.startsWith('/acr/')) response.writeHead(404).end('404 page not found');
    else return script(seen, response);
  };
}

describe('listTags()', () => {
  it('follows pages, puts each in order, and leaves out what is no tag', async () => {
    const script = notAcr(({ url }, response) => {
      const last = url.searchParams.get('last');
      if (last === null) {
        const link = `<${url.pathname}?last=b&n=2>; rel="next", </about>; rel="help"`;
        answerJson(response, { tags: ['b', 'a', 'no tag'] }, { link });
      } else answerJson(response, { tags: ['c'] });
    });
    await withParent(script, async ({ parent, log, lines }) => {
      expect(await all(parent.listTags(plant))).to.deep.equal([{ tag: 'a' }, { tag: 'b' }, { tag: 'c' }]);
      expect(log.lines.filter(({ level }) => level === 'warn')).to.have.length(1);
      expect(lines.slice(1)).to.deep.equal([
        'GET /v2/plant/hello/tags/list?n=1000',
        'GET /v2/plant/hello/tags/list?last=b&n=2',
      ]);
    });
  });

  for (const [link, next] of [
    ['<?last=a>; rel=next', '/v2/plant/hello/tags/list?last=a'],
    ['<list?last=a>; rel="next"', '/v2/plant/hello/tags/list?last=a'],
    ['<http://registry.internal:5000/v2/plant/hello/tags/list?last=a>; rel="next"', '/v2/plant/hello/tags/list?last=a'],
  ] as const) {
    it(`follows ${link} at the parent`, async () => {
      const script = notAcr(({ url }, response) => {
        answerJson(response, { tags: [] }, url.searchParams.has('last') ? {} : { link });
      });
      await withParent(script, async ({ parent, lines }) => {
        await all(parent.listTags(plant));
        expect(lines.at(-1)).to.equal(`GET ${next}`);
      });
    });
  }

  it('throws when a page leads back', async () => {
    const script = notAcr(({ url }, response) => {
      answerJson(
        response,
        { tags: ['a'] },
        { link: `<?last=${url.searchParams.get('last') === '1' ? 2 : 1}>; rel="next"` },
      );
    });
    await withParent(script, async ({ parent }) => {
      expect(await failureOf(all(parent.listTags(plant)))).to.include({ failure: 'broken' });
    });
  });

  for (const [what, second] of [
    ['is not there', (_, response) => answerError(response, 404, 'NAME_UNKNOWN')],
    ['is refused', (_, response) => answerError(response, 403, 'DENIED')],
    ['is not JSON', (_, response) => response.end('<html>')],
    ['is no list', (_, response) => answerJson(response, { tags: 'many' })],
  ] as [string, Script][]) {
    it(`throws when the second page ${what}`, async () => {
      const script = notAcr((seen, response) => {
        if (seen.url.searchParams.has('last')) return second(seen, response);
        answerJson(response, { tags: ['a'] }, { link: '<?last=a>; rel="next"' });
      });
      await withParent(script, async ({ parent }) => {
        expect(['broken', 'denied', 'refused']).to.include((await failureOf(all(parent.listTags(plant)))).failure);
      });
    });
  }

  it('is empty for an unknown repository and for null', async () => {
    await withParent(
      notAcr((_, response) => answerError(response, 404, 'NAME_UNKNOWN')),
      async ({ parent }) => {
        expect(await all(parent.listTags(plant))).to.deep.equal([]);
      },
    );
    await withParent(
      notAcr((_, response) => answerJson(response, { name: plant, tags: null })),
      async ({ parent }) => {
        expect(await all(parent.listTags(plant))).to.deep.equal([]);
      },
    );
  });

  it('takes digests from ACR, page by page', async () => {
    const script: Script = ({ url }, response) => {
      if (!url.pathname.startsWith('/acr/v1/plant/hello/_tags')) response.writeHead(500).end();
      else if (url.searchParams.has('last')) answerJson(response, { tags: [{ name: 'b', digest }] });
      else {
        const link = '</acr/v1/plant/hello/_tags?last=a&n=1&orderby=>; rel="next"';
        answerJson(response, { tags: [{ name: 'a', digest, createdTime: 'x' }] }, { link });
      }
    };
    await withParent(script, async ({ parent }) => {
      expect(await all(parent.listTags(plant))).to.deep.equal([
        { tag: 'a', digest },
        { tag: 'b', digest },
      ]);
    });
  });

  it('asks ACR alone for a repository that it does not know', async () => {
    const script: Script = ({ url }, response) => {
      if (url.pathname.startsWith('/acr/v1/plant/hello/')) answerJson(response, { tags: [{ name: 'a', digest }] });
      else answerError(response, 404, 'NAME_UNKNOWN');
    };
    await withParent(script, async ({ parent, lines }) => {
      await all(parent.listTags(plant));
      lines.length = 0;
      expect(await all(parent.listTags(repository('plant/other')))).to.deep.equal([]);
      expect(lines).to.deep.equal(['GET /acr/v1/plant/other/_tags?n=1000']);
    });
  });

  for (const [what, answer] of [
    ['a 404', (_, response) => response.writeHead(404).end('404 page not found')],
    ['a 404 in the words of OCI', (_, response) => answerError(response, 404, 'UNSUPPORTED')],
    ['a web page', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['a refusal', (_, response) => response.writeHead(403).end()],
  ] as [string, Script][]) {
    it(`asks for ACR's listing once an hour after ${what}`, async () => {
      const script: Script = (seen, response) => {
        if (seen.url.pathname.startsWith('/acr/')) return answer(seen, response);
        answerJson(response, { tags: ['a'] });
      };
      await withParent(script, async ({ parent, lines, clock }) => {
        const acrRequests = (): number => lines.filter((line) => line.includes('/acr/')).length;
        expect(await all(parent.listTags(plant))).to.deep.equal([{ tag: 'a' }]);
        await all(parent.listTags(plant));
        expect(acrRequests()).to.equal(1);
        await clock.advance(3_600_000);
        await all(parent.listTags(plant));
        expect(acrRequests()).to.equal(2);
      });
    });
  }
});

describe('listRepositories()', () => {
  it('follows pages', async () => {
    const script: Script = ({ url }, response) => {
      if (url.searchParams.get('last') === 'b') answerJson(response, { repositories: ['c/d'] });
      else answerJson(response, { repositories: ['a', 'b'] }, { link: '</v2/_catalog?last=b&n=2>; rel="next"' });
    };
    await withParent(script, async ({ parent }) => {
      expect(await all(parent.listRepositories())).to.deep.equal(['a', 'b', 'c/d']);
    });
  });

  for (const status of [401, 403, 404]) {
    it(`is denied by ${status}`, async () => {
      await withParent(
        (_, response) => {
          response.writeHead(status).end();
        },
        async ({ parent }) => {
          expect(await failureOf(all(parent.listRepositories()))).to.include({ failure: 'denied', status });
        },
      );
    });
  }
});
