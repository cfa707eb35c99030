import { expect } from 'chai';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import { createPasswordChecker } from '../../modules/registry/src/auth/password-checker.ts';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';

/** Whether `body` was answered from memory: the scrypt checks below never end within one turn of the event loop. */
async function isImmediate(body: Promise<unknown>): Promise<boolean> {
  const later = new Promise((resolve) => setImmediate(resolve, 'later'));
  const first = await Promise.race([body.then(() => 'body'), later]);
  await body;
  return first === 'body';
}

describe('createPasswordChecker()', () => {
  let hash: string;
  let other: string;
  before(async () => {
    [hash, other] = await Promise.all([hashPassword('right', { ln: 13 }), hashPassword('second', { ln: 13 })]);
  });

  it('finds the hash that matches, whichever it is', async () => {
    const checker = createPasswordChecker();
    expect(await checker.find('line3', 'right', [hash, other])).to.equal(hash);
    expect(await checker.find('line3', 'second', [hash, other])).to.equal(other);
    expect(await checker.find('line3', 'wrong', [hash, other])).to.equal(undefined);
  });

  it('remembers a right password, and forgets it with its hash', async () => {
    const checker = createPasswordChecker();
    expect(await isImmediate(checker.find('line3', 'right', [hash]))).to.equal(false);
    expect(await isImmediate(checker.find('line3', 'right', [hash]))).to.equal(true);
    checker.keepOnly(new Set([hash]));
    expect(await isImmediate(checker.find('line3', 'right', [hash]))).to.equal(true);
    checker.keepOnly(new Set([other]));
    expect(await isImmediate(checker.find('line3', 'right', [hash]))).to.equal(false);
  });

  it('remembers a wrong password', async () => {
    const checker = createPasswordChecker();
    expect(await isImmediate(checker.find('line3', 'wrong', [hash]))).to.equal(false);
    expect(await isImmediate(checker.find('line3', 'wrong', [hash]))).to.equal(true);
    expect(await checker.find('line3', 'right', [hash])).to.equal(hash);
  });

  it('spends a check on an unknown name', async () => {
    expect(await isImmediate(createPasswordChecker().find('', 'right', []))).to.equal(false);
  });

  it('shares one check between many who ask the same', async () => {
    const checker = createPasswordChecker();
    const found = await Promise.all(Array.from({ length: 100 }, () => checker.find('line3', 'right', [hash])));
    expect(new Set(found)).to.deep.equal(new Set([hash]));
  });

  it('refuses with TOOMANYREQUESTS when guesses pile up at one name, and serves the others', async () => {
    const checker = createPasswordChecker();
    const guesses = Array.from({ length: 20 }, (_, index) =>
      checker.find('line3', `guess ${index}`, [hash, other]).catch((error: unknown) => error),
    );
    const served = checker.find('line4', 'right', [hash]);
    const errors = (await Promise.all(guesses)).filter((answer) => answer !== undefined);
    expect(errors).to.have.lengthOf(12);
    for (const error of errors) {
      expect(error).to.be.instanceOf(RegistryError).that.includes({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 1 });
    }
    expect(await served).to.equal(hash);
    expect(await checker.find('line3', 'right', [hash, other])).to.equal(hash);
  });
});
