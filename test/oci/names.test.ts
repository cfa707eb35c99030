import { expect } from 'chai';
import fc from 'fast-check';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import {
  isDigest,
  parseReference,
  parseRepositoryName,
  parseTag,
  referrersTag,
} from '../../modules/registry/src/oci/names.ts';
import { digest, tag } from '../helpers/names.ts';

const word = fc.stringMatching(/^[a-z0-9]{1,6}$/);
const separator = fc.constantFrom('.', '_', '__', '-', '--', '---');
const component = fc
  .tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 3 }))
  .map(([first, rest]) => first + rest.flat().join(''));
const name = fc.array(component, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));

describe('parseRepositoryName()', () => {
  it('accepts every name of the grammar', () => {
    fc.assert(fc.property(name, (text) => void expect(parseRepositoryName(text)).to.equal(text)));
  });

  it('refuses a name with anything else in it, wherever it stands', () => {
    const foreign = fc.constantFrom(
      'A',
      ' ',
      ':',
      '@',
      '%',
      '*',
      '\\',
      '\n',
      '\0',
      'é',
      '?',
      '#',
      '//',
      '..',
      './',
      '/.',
      '-/',
      '_/',
    );
    fc.assert(
      fc.property(name, foreign, fc.nat(), (text, sign, position) => {
        const at = position % (text.length + 1);
        expect(parseRepositoryName(text.slice(0, at) + sign + text.slice(at))).to.equal(undefined);
      }),
    );
  });

  it('never lets a path leave its folder', () => {
    const unit = fc.constantFrom('.', '/', '..', '\\', 'a', '%2e', '\0', '~');
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 8 }), (units) => {
        const parsed = parseRepositoryName(units.join(''));
        const folders = parsed?.split('/') ?? [];
        expect(folders.filter((folder) => folder === '' || folder.startsWith('.'))).to.deep.equal([]);
      }),
    );
  });

  const refused = [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    '.',
    '..',
    '../a',
    'a/../b',
    '-a',
    'a-',
    '_a',
    'a_',
    'a___b',
    'a..b',
    'a.-b',
  ];
  for (const text of [...refused, 'plant/Hello', 'localhost:5000/a', 'a\n']) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseRepositoryName(text)).to.equal(undefined));
  }

  it('accepts 255 characters and refuses 256', () => {
    expect(parseRepositoryName('a'.repeat(255))).to.have.lengthOf(255);
    expect(parseRepositoryName('a'.repeat(256))).to.equal(undefined);
  });

  it('takes linear time, whatever it is given', function () {
    this.timeout(1000);
    for (const part of ['a', 'a-', '-', 'a/', '_']) {
      for (let length = 1; length < 255; length++) parseRepositoryName(`${part.repeat(length)}!`);
    }
  });
});

describe('parseTag()', () => {
  it('accepts every tag of the grammar', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/), (text) => {
        expect(parseTag(text)).to.equal(text);
      }),
    );
  });

  for (const text of ['', '.', '..', '-a', '.a', 'a b', 'a/b', 'a:b', 'a+b', 'é', 'a\n', '../a']) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseTag(text)).to.equal(undefined));
  }

  it('accepts 128 characters and refuses 129', () => {
    expect(parseTag('a'.repeat(128))).to.have.lengthOf(128);
    expect(parseTag('a'.repeat(129))).to.equal(undefined);
  });
});

describe('parseReference()', () => {
  const known = digestOf(Buffer.from('hello'));

  it('is a digest with a colon, else a tag', () => {
    expect(parseReference(known)).to.equal(known);
    expect(parseReference('1.0')).to.equal('1.0');
    expect(isDigest(digest(known))).to.equal(true);
    expect(isDigest(tag('1.0'))).to.equal(false);
  });

  it('takes 64 hexadecimal characters without an algorithm for a tag', () => {
    expect(parseReference('a'.repeat(64))).to.equal('a'.repeat(64));
  });

  for (const text of ['', 'sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'latest:1', 'a/b']) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseReference(text)).to.equal(undefined));
  }
});

describe('referrersTag()', () => {
  it('is the digest with a dash', () => {
    expect(referrersTag(digest(`sha256:${'a'.repeat(64)}`))).to.equal(`sha256-${'a'.repeat(64)}`);
  });

  it('cuts sha512 at 64 characters', () => {
    expect(referrersTag(digest(`sha512:${'b'.repeat(128)}`))).to.equal(`sha512-${'b'.repeat(64)}`);
  });

  it('is always a tag', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        (bytes) => void expect(parseTag(referrersTag(digestOf(bytes)))).not.to.equal(undefined),
      ),
    );
  });
});
