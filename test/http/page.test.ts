import { expect } from 'chai';
import fc from 'fast-check';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { nextLink, pageLimit, pageRequestIn, takePage } from '../../modules/registry/src/http/page.ts';

describe('pageRequestIn()', () => {
  it('reads n and last', () => {
    expect(pageRequestIn(new URLSearchParams('n=5&last=v1'))).to.deep.equal({ limit: 5, after: 'v1' });
  });
  it('pages at the limit, without n and above it', () => {
    expect(pageRequestIn(new URLSearchParams())).to.deep.equal({ limit: pageLimit, after: undefined });
    expect(pageRequestIn(new URLSearchParams('n=999999')).limit).to.equal(pageLimit);
  });
  for (const n of ['-1', 'x', '1.5', '', '1e3']) {
    it(`refuses n=${JSON.stringify(n)}`, () => {
      expect(() => pageRequestIn(new URLSearchParams({ n })))
        .to.throw(RegistryError)
        .with.property('code', 'PAGINATION_NUMBER_INVALID');
    });
  }
});

describe('takePage()', () => {
  it('walks through every wanted row once, whatever the page size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer()), fc.integer({ min: 1, max: 5 }), async (rows, limit) => {
        const wanted = (row: number): boolean => row % 2 === 0;
        const seen: number[] = [];
        for (let start = 0; ;) {
          const page = await takePage(from(rows.slice(start)), limit, wanted);
          seen.push(...page.rows);
          if (!page.more) break;
          expect(page.rows).to.have.length(limit);
          start = nthWanted(rows, seen.length, wanted);
        }
        expect(seen).to.deep.equal(rows.filter(wanted));
      }),
    );
  });

  it('reads one row beyond the page and no further', async () => {
    let read = 0;
    async function* endless(): AsyncGenerator<number> {
      for (;;) yield read++;
    }
    expect(await takePage(endless(), 3)).to.deep.equal({ rows: [0, 1, 2], more: true });
    expect(read).to.equal(4);
  });
});

describe('nextLink()', () => {
  it('encodes its values and leaves out what is undefined', () => {
    expect(nextLink('/v2/a/tags/list', { artifactType: undefined, n: 2, last: 'a&b' })).to.deep.equal({
      Link: '</v2/a/tags/list?n=2&last=a%26b>; rel="next"',
    });
  });
});

async function* from<T>(rows: readonly T[]): AsyncGenerator<T> {
  yield* rows;
}

function nthWanted(rows: readonly number[], count: number, wanted: (row: number) => boolean): number {
  let left = count;
  return rows.findIndex((row) => wanted(row) && --left === 0) + 1;
}
