import { expect } from 'chai';
import { verifyPassword } from '../../../modules/registry/src/auth/password-hash.ts';
import { issuePassword, passwordsOf, pretendPassword } from '../../../scripts/hierarchy/passwords.ts';

let count = 0;
const issue = () => Promise.resolve({ password: `secret${++count}`, hash: `hash${count}` });
const names = (passwords: readonly { name: string }[]) => passwords.map(({ name }) => name);

describe('passwordsOf()', () => {
  it('makes a first one, keeps it, adds a second, replaces the older, and retires it', async () => {
    const first = await passwordsOf([], 'keep', issue);
    expect(names(first.passwords)).to.deep.equal(['password1']);
    const kept = await passwordsOf(first.passwords, 'keep', issue);
    expect(kept).to.deep.equal({ passwords: first.passwords, issued: undefined });

    const rotated = await passwordsOf(first.passwords, 'rotate', issue);
    expect(names(rotated.passwords)).to.deep.equal(['password1', 'password2']);
    expect(rotated.passwords[0]).to.deep.equal(first.passwords[0]);
    expect(rotated.issued?.name).to.equal('password2');

    const again = await passwordsOf(rotated.passwords, 'rotate', issue);
    expect(names(again.passwords)).to.deep.equal(['password2', 'password1']);
    expect(again.passwords[0]).to.deep.equal(rotated.passwords[1]);

    const retired = await passwordsOf(again.passwords, 'retire', issue);
    expect(retired.passwords).to.deep.equal([again.passwords[1]]);
  });
});

describe('issuePassword()', () => {
  it('makes a password and the hash that matches it', async () => {
    const { password, hash } = await issuePassword();
    expect(await verifyPassword(password ?? '', hash)).to.equal(true);
    expect(await pretendPassword()).to.have.property('password', undefined);
  });
});
