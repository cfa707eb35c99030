import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  algorithmOf,
  digestFrom,
  digestOf,
  encodedOf,
  parseDigest,
  startHash,
} from '../../modules/registry/src/oci/digest.ts';

const hex = (length: number) => 'ab12'.repeat(length / 4);

describe('parseDigest()', () => {
  it('accepts sha256 and sha512', () => {
    expect(parseDigest(`sha256:${hex(64)}`)).to.equal(`sha256:${hex(64)}`);
    expect(parseDigest(`sha512:${hex(128)}`)).to.equal(`sha512:${hex(128)}`);
  });

  const refused = {
    'an empty text': '',
    'an algorithm alone': 'sha256:',
    'no algorithm': hex(64),
    'no algorithm before the colon': `:${hex(64)}`,
    'a short digest': `sha256:${hex(64).slice(1)}`,
    'a long digest': `sha256:${hex(64)}a`,
    'the length of another algorithm': `sha512:${hex(64)}`,
    'upper case': `sha256:${hex(64).toUpperCase()}`,
    'a character that is not hexadecimal': `sha256:${hex(64).slice(1)}g`,
    'an algorithm that is not stored': `sha384:${hex(96)}`,
    'a name every object has': `constructor:${hex(64)}`,
    'a line break at the end': `sha256:${hex(64)}\n`,
    'a path': `sha256:../${hex(64).slice(3)}`,
    'a second colon': `sha256:sha256:${hex(64)}`,
  };
  for (const [what, text] of Object.entries(refused)) {
    it(`refuses ${what}`, () => expect(parseDigest(text)).to.equal(undefined));
  }
});

describe('digestOf()', () => {
  it('is what node:crypto computes, and can be taken apart', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom('sha256' as const, 'sha512' as const), (bytes, algorithm) => {
        const digest = digestOf(bytes, algorithm);
        expect(parseDigest(digest)).to.equal(digest);
        expect(algorithmOf(digest)).to.equal(algorithm);
        expect(encodedOf(digest)).to.equal(createHash(algorithm).update(bytes).digest('hex'));
      }),
    );
  });

  it('is sha256 unless told otherwise', () => {
    expect(digestOf(Buffer.alloc(0))).to.equal(
      'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });
});

describe('startHash()', () => {
  it('gives the same digest in pieces as at once', () => {
    const hash = startHash('sha512').update('plant/').update('hello');
    expect(digestFrom('sha512', hash)).to.equal(digestOf(Buffer.from('plant/hello'), 'sha512'));
  });
});
