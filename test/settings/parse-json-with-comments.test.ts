import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { jsonErrorOffset } from '../../modules/registry/src/settings/json-syntax.ts';
import { parseJsonWithComments } from '../../modules/registry/src/settings/parse-json-with-comments.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';

describe('parseJsonWithComments()', () => {
  for (const [text, value] of [
    ['{"a": 1} // end', { a: 1 }],
    ['/* a\n "b" */ [1, /* 2, */ 3]', [1, 3]],
    ['{"url": "http://x/*y*/", "q": "\\"//"}', { url: 'http://x/*y*/', q: '"//' }],
    ['[1, 2,]', [1, 2]],
    ['{"a": [true,],\n// c\n}', { a: [true] }],
    ['[1, // one\n]', [1]],
    ['{"a": ",}"}', { a: ',}' }],
    ['\uFEFF{}', {}],
  ] as const) {
    it(`reads ${JSON.stringify(text)}`, () => {
      expect(parseJsonWithComments(text)).to.deep.equal({ ok: true, value });
    });
  }

  for (const [text, line, column] of [
    ['', 1, 1],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3],
    ['{ // c\n  a: 1 }', 2, 3],
    ['[1, 2', 1, 6],
    ['[,]', 1, 2],
    ['[1,,]', 1, 4],
    ['{"a": 01}', 1, 7],
    ['{} {}', 1, 4],
    ['[}', 1, 2],
    ['/* never closed', 1, 1],
    ['"a\nb"', 1, 1],
    ['{"a"}', 1, 5],
  ] as const) {
    it(`points at line ${line}, column ${column} of ${JSON.stringify(text)}`, () => {
      const parsed = parseJsonWithComments(text);
      expect(parsed).to.include({ ok: false, line, column });
      expect(!parsed.ok && parsed.message).to.contain(`line ${line}, column ${column}`);
    });
  }

  it('shows nothing of the text', () => {
    expect(JSON.stringify(parseJsonWithComments('{"password": Tr0ub4dor}'))).not.to.contain('Tr0ub4dor');
  });

  it('reads any JSON as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value: unknown = JSON.parse(text);
        expect(parseJsonWithComments(text)).to.deep.equal({ ok: true, value });
      }),
    );
  });
});

describe('jsonErrorOffset()', () => {
  it('finds an error just where JSON.parse refuses, damaged JSON', () => {
    const damages = fc.tuple(
      fc.json(),
      fc.nat(),
      fc.nat(3),
      fc.constantFrom('', ',', '"', '}', ']', ':', '1', 'x', '\\'),
    );
    fc.assert(
      fc.property(damages, ([json, where, removed, added]) => {
        const at = where % (json.length + 1);
        const text = json.slice(0, at) + added + json.slice(at + removed);
        expect(jsonErrorOffset(text) === undefined).to.equal(isJson(text));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('settings.example.jsonc', () => {
  it('is accepted without a warning', async () => {
    const example = new URL('../../modules/registry/settings.example.jsonc', import.meta.url);
    const parsed = parseJsonWithComments(await readFile(example, 'utf8'));
    expect(parsed.ok && parseSettings(parsed.value)).to.deep.include({ ok: true, warnings: [] });
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
