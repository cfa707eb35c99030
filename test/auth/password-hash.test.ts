import { scryptSync } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  decoyHash,
  defaultCost,
  generatePassword,
  hashPassword,
  verifyPassword,
} from '../../modules/registry/src/auth/password-hash.ts';
import { parseScryptHash } from '../../modules/registry/src/settings/scrypt-hash.ts';

const salt = 'c2FsdHNhbHRzYWx0c2FsdA';
const key = 'a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U';

describe('hashPassword()', () => {
  it('makes a PHC string at the default cost, with another salt each time', async () => {
    const [one, two] = await Promise.all([hashPassword('secret'), hashPassword('secret')]);
    expect(one).to.match(/^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(one).not.to.equal(two);
    expect(parseScryptHash(one)).to.include(defaultCost);
  });

  it('throws for a cost out of bounds', async () => {
    const failure: unknown = await hashPassword('secret', { ln: 25 }).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(RangeError);
  });

  it('is verified by the same password and no other', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), async (password, other) => {
        const hash = await hashPassword(password, { ln: 10, r: 1 });
        expect(await verifyPassword(password, hash)).to.equal(true);
        if (other !== password) expect(await verifyPassword(other, hash)).to.equal(false);
      }),
      { numRuns: 30 },
    );
  });
});

describe('verifyPassword()', () => {
  it('verifies a hash made elsewhere, at other lengths and another cost', async () => {
    const derived = scryptSync('pässword', Buffer.from('saltsalt'), 64, { N: 2 ** 11, r: 4, p: 3 });
    const text = `$scrypt$ln=11,r=4,p=3$${Buffer.from('saltsalt').toString('base64').replace('=', '')}$${derived.toString('base64').replace(/=+$/, '')}`;
    expect(await verifyPassword('pässword', text)).to.equal(true);
    expect(await verifyPassword('password', text)).to.equal(false);
  });

  it('verifies at the highest accepted cost', async () => {
    const hash = await hashPassword('secret', { ln: 17 });
    expect(await verifyPassword('secret', hash)).to.equal(true);
  });

  it('is false for a hash that cannot be read', async () => {
    expect(await verifyPassword('', '')).to.equal(false);
  });
});

describe('parseScryptHash()', () => {
  it('reads cost, salt and key', () => {
    expect(parseScryptHash(`$scrypt$ln=15,r=8,p=1$${salt}$${key}`)).to.deep.equal({
      ln: 15,
      r: 8,
      p: 1,
      salt: Buffer.from(salt, 'base64'),
      key: Buffer.from(key, 'base64'),
    });
  });

  const refused = {
    'an empty text': '',
    'the password itself': 'secret',
    'another algorithm': `$argon2id$v=19$m=65536,t=2,p=1$${salt}$${key}`,
    bcrypt: '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
    'too small a cost': `$scrypt$ln=9,r=8,p=1$${salt}$${key}`,
    'a cost of gigabytes': `$scrypt$ln=20,r=32,p=1$${salt}$${key}`,
    'a cost of minutes': `$scrypt$ln=16,r=8,p=16$${salt}$${key}`,
    'no block size': `$scrypt$ln=15,r=0,p=1$${salt}$${key}`,
    'no parallelism': `$scrypt$ln=15,r=8,p=0$${salt}$${key}`,
    'another order': `$scrypt$r=8,ln=15,p=1$${salt}$${key}`,
    padding: `$scrypt$ln=15,r=8,p=1$${salt}==$${key}`,
    'URL-safe base64': `$scrypt$ln=15,r=8,p=1$${salt.replace('c', '-')}$${key}`,
    'base64 with stray bits': `$scrypt$ln=15,r=8,p=1$${salt.slice(0, -1)}B$${key}`,
    'a short key': `$scrypt$ln=15,r=8,p=1$${salt}$a2V5`,
    'a line break at the end': `$scrypt$ln=15,r=8,p=1$${salt}$${key}\n`,
  };
  for (const [what, text] of Object.entries(refused)) {
    it(`refuses ${what}`, () => expect(parseScryptHash(text)).to.equal(undefined));
  }
});

describe('generatePassword()', () => {
  it('makes long passwords that need no quoting, none twice', () => {
    const made = Array.from({ length: 100 }, generatePassword);
    for (const password of made) expect(password).to.match(/^[A-Za-z0-9]{32,}$/);
    expect(new Set(made)).to.have.lengthOf(100);
  });
});

describe('decoyHash()', () => {
  it('costs what a real one costs', () => expect(parseScryptHash(decoyHash())).to.include(defaultCost));
});
