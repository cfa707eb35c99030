import { expect } from 'chai';
import { readVariables } from '../../../scripts/deployment/read-variables.ts';

describe('readVariables()', () => {
  it('reads values as they stand, without replacing names in them', () => {
    const text = [
      '# comment',
      '',
      'A=contoso.azurecr.io',
      'export B = $upstream:8000',
      "HASH='$scrypt$ln=15,r=8,p=1$c2FsdA$a2V5'",
      'QUOTED="a # b" # comment',
      'PLAIN=a=b # comment',
      'EMPTY=',
      'WINDOWS=line\r',
    ].join('\n');
    expect(readVariables(text)).to.deep.equal({
      ok: true,
      variables: {
        A: 'contoso.azurecr.io',
        B: '$upstream:8000',
        HASH: '$scrypt$ln=15,r=8,p=1$c2FsdA$a2V5',
        QUOTED: 'a # b',
        PLAIN: 'a=b',
        EMPTY: '',
        WINDOWS: 'line',
      },
    });
  });

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['a line that is no assignment', 'PASSWORD: secret', /must be NAME=value/],
    ['a name with a dash', 'MY-NAME=secret', /must be NAME=value/],
    ['a # within a value, where the rest would be lost', 'PASSWORD=sec#ret', /in quotes, since it holds a #/],
    ['quotes that do not end', "PASSWORD='secret", /must end its quotes/],
  ];
  for (const [what, line, message] of refused) {
    it(`refuses ${what}, by line and without the value`, () => {
      const read = readVariables(`A=1\n${line}\n`);
      const problems = read.ok ? [] : read.problems;
      expect(problems.map(({ path }) => path)).to.deep.equal(['2']);
      expect(problems[0]!.message).to.match(message).and.not.include('sec');
    });
  }
});
