import { expect } from 'chai';
import fc from 'fast-check';
import { parseBasicCredentials } from '../../modules/registry/src/auth/basic-credentials.ts';

const encode = (text: string | Buffer): string => Buffer.from(text).toString('base64');

describe('parseBasicCredentials()', () => {
  it('reads what a client encodes', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !/[:\p{Cc}]/u.test(name)),
        fc.string({ unit: 'grapheme' }).filter((password) => !/\p{Cc}/u.test(password)),
        (name, password) => {
          expect(parseBasicCredentials(encode(`${name}:${password}`))).to.deep.equal({ name, password });
        },
      ),
    );
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parseBasicCredentials(text);
      }),
    );
  });

  it('ends the name at the first colon', () => {
    expect(parseBasicCredentials(encode('line3:a:b'))).to.deep.equal({ name: 'line3', password: 'a:b' });
  });

  it('accepts base64 without padding', () => {
    expect(parseBasicCredentials(encode('a:bb').replaceAll('=', ''))).to.deep.equal({ name: 'a', password: 'bb' });
  });

  const refused = {
    nothing: '',
    'no colon': encode('line3'),
    'no name': encode(':password'),
    'no base64': 'line3:password',
    'base64 with a stray character': `${encode('line3:password')}!`,
    'bytes that are not UTF-8': encode(Buffer.from([0x61, 0x3a, 0xff, 0xfe])),
    'a control character': encode('line3:pass\nword'),
    'a NUL in the name': encode('line\u00003:password'),
  };
  for (const [what, text] of Object.entries(refused)) {
    it(`refuses ${what}`, () => expect(parseBasicCredentials(text)).to.equal(undefined));
  }
});
