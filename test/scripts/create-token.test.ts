import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { verifyPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { createClientToken, type CreatedToken } from '../../scripts/client-token.ts';

const now = new Date('2026-11-24T09:00:00Z');
const whole = ['--name', 'line3', '--scope-map', 'pullers'];

describe('createClientToken()', () => {
  it('makes a password and the hash that matches it', async () => {
    const { password, clientToken } = await createClientToken(whole, now);
    expect(await verifyPassword(password, clientToken.passwords[0]!.hash)).to.equal(true);
    expect(clientToken).to.deep.include({ name: 'line3', status: 'enabled', scopeMap: 'pullers' });
    expect(clientToken.passwords[0]).not.to.have.property('expiry');
    expect(JSON.stringify(clientToken)).not.to.include(password);
  });

  it('makes what the settings accept, with an expiry in UTC', async () => {
    const { clientToken } = await createClientToken([...whole, '--expiry', '2027-01-01T01:00:00+01:00'], now);
    expect(clientToken.passwords[0]!.expiry).to.equal('2027-01-01T00:00:00.000Z');
    const scopeMaps = [{ name: 'pullers', actions: ['repositories/plant/*/content/read'] }];
    const parsed = parseSettings({ clientTokens: [clientToken], scopeMaps }, { variables: {} });
    expect(parsed).to.have.property('ok', true);
  });

  const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['no name', ['--scope-map', 'pullers'], /--name/],
    ['no scope map', ['--name', 'line3'], /--scope-map/],
    ['a name with a colon', ['--name', 'line:3', '--scope-map', 'pullers'], /--name/],
    ['an expiry that is no date', [...whole, '--expiry', 'soon'], /--expiry/],
    ['an expiry without a zone', [...whole, '--expiry', '2027-01-01T00:00:00'], /--expiry/],
    ['an expiry in the past', [...whole, '--expiry', '2026-11-24T09:00:00Z'], /--expiry/],
    ['an unknown option', [...whole, '--admin'], /--admin/],
  ];
  for (const [what, commandLine, option] of refused) {
    it(`refuses ${what} and names the option`, async () => {
      const failure = await createClientToken(commandLine, now).then(() => undefined, String);
      expect(failure).to.match(option);
    });
  }
});

describe('scripts/create-token.ts', () => {
  const run = (...commandLine: string[]) =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/create-token.ts', ...commandLine]);

  it('prints JSON to stdout and the password to stderr only', async () => {
    const { stdout, stderr } = await run(...whole);
    const clientToken = JSON.parse(stdout) as CreatedToken['clientToken'];
    const password = /: (\S+)\n/.exec(stderr)?.[1] ?? '';
    expect(await verifyPassword(password, clientToken.passwords[0]!.hash)).to.equal(true);
    expect(stdout).not.to.include(password);
  });

  it('ends with 2 and says how to use it, without a name', async () => {
    const failure = await run().then(
      () => undefined,
      (error: unknown) => error as { code: number; stdout: string; stderr: string },
    );
    expect(failure).to.include({ code: 2, stdout: '' });
    expect(failure?.stderr).to.include('Usage:');
  });
});
