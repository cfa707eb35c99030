import { expect } from 'chai';
import fc from 'fast-check';
import { parseChallenges } from '../../modules/registry/src/parent/challenge.ts';

function plain(header: string | string[] | undefined): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe('parseChallenges()', () => {
  for (const [header, expected] of [
    [undefined, []],
    ['', []],
    ['Basic realm="cloud"', [['basic', { realm: 'cloud' }]]],
    ['Basic', [['basic', {}]]],
    [
      'Bearer realm="https://a/t",service="a:443",scope="repository:x:pull,push"',
      [['bearer', { realm: 'https://a/t', service: 'a:443', scope: 'repository:x:pull,push' }]],
    ],
    [
      'Negotiate YWJj==, BEARER Realm = "q\\"uoted, \\\\", error=invalid_token , Basic realm="b"',
      [
        ['negotiate', {}],
        ['bearer', { realm: 'q"uoted, \\', error: 'invalid_token' }],
        ['basic', { realm: 'b' }],
      ],
    ],
    ['Bearer realm=https://a/t,service=a', [['bearer', { realm: 'https://a/t', service: 'a' }]]],
    [
      ['Bearer realm="r"', 'Basic realm="b"'],
      [
        ['bearer', { realm: 'r' }],
        ['basic', { realm: 'b' }],
      ],
    ],
    ['"nonsense"', []],
  ] as [string | string[] | undefined, unknown][]) {
    it(`reads ${JSON.stringify(header)}`, () => {
      expect(plain(header)).to.deep.equal(expected);
    });
  }

  it('gives back every challenge that was written down', () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const parameters = fc.dictionary(word, fc.string({ unit: 'grapheme-ascii' }), { minKeys: 1, maxKeys: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(word, parameters)), (challenges) => {
        const header = challenges
          .map(([scheme, values]) => {
            const pairs = Object.entries(values).map(
              ([key, value]) => `${key}="${value.replaceAll(/["\\]/g, '\\$&')}"`,
            );
            return `${scheme} ${pairs.join(', ')}`;
          })
          .join(', ');
        expect(plain(header)).to.deep.equal(challenges.map(([scheme, values]) => [scheme, { ...values }]));
      }),
    );
  });

  it('ends on any text', () => {
    fc.assert(fc.property(fc.string(), (text) => parseChallenges(text).every(({ scheme }) => scheme !== '')));
  });
});
