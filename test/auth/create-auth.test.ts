import { expect } from 'chai';
import { decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from 'jose';
import { RegistryError } from '../../modules/registry/src/errors.ts';
import type { Access, Auth } from '../../modules/registry/src/auth/auth.ts';
import { createAuth } from '../../modules/registry/src/auth/create-auth.ts';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { parseScopes } from '../../modules/registry/src/auth/scope.ts';
import type { RepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { parsePermission, repositoryActions } from '../../modules/registry/src/settings/permission.ts';
import type { ClientToken, Mode, TokenPassword } from '../../modules/registry/src/settings/settings.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { repository } from '../helpers/names.ts';
import { RecordingLog } from '../helpers/recording-log.ts';

const signingKey = Buffer.alloc(32, 7);
const hello = repository('plant/hello');
const other = repository('office/hello');
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** PHC strings, each of its own name as the password. */
let hashes: { one: string; two: string; three: string; child: string; admin: string };

before(async () => {
  const words = ['one', 'two', 'three', 'child', 'admin'] as const;
  const made = await Promise.all(words.map((word) => hashPassword(word, { ln: 10 })));
  hashes = Object.fromEntries(words.map((word, index) => [word, made[index]!])) as typeof hashes;
});

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

const password = (name: keyof typeof hashes, expiry?: string): TokenPassword => ({
  name: `password-${name}`,
  hash: hashes[name],
  expiry: expiry === undefined ? undefined : new Date(expiry),
});

const line3 = (change: Partial<ClientToken> = {}): ClientToken => ({
  name: 'line3',
  status: 'enabled',
  scopeMap: 'pullers',
  passwords: [password('one'), password('two')],
  ...change,
});

const child = (mode: Mode) => ({
  name: 'Plant7Line3',
  mode,
  repositories: ['plant/*' as RepositoryPattern],
  syncToken: { name: 'plant7line3', status: 'enabled' as const, passwords: [password('child')] },
});

const scopeMap = (...actions: string[]) => ({
  name: 'pullers',
  permissions: actions.map((action) => parsePermission(action)!),
});
const reading = ['repositories/plant/*/content/read', 'repositories/plant/*/metadata/read'];

interface Wanted {
  readonly tokens?: readonly ClientToken[];
  readonly actions?: readonly string[];
  readonly childMode?: Mode;
}

function apply(auth: Auth, { tokens = [line3()], actions = reading, childMode = 'ReadOnly' }: Wanted = {}): void {
  auth.apply({ clientTokens: tokens, scopeMaps: [scopeMap(...actions)], children: [child(childMode)] });
}

function start(options: { admin?: boolean; signingKey?: Buffer } = {}) {
  const clock = new ManualClock();
  const log = new RecordingLog();
  const auth = createAuth({
    signingKey: options.signingKey ?? signingKey,
    clock,
    log,
    ...(options.admin && { admin: { name: 'admin', hash: hashes.admin } }),
  });
  apply(auth);
  return { auth, clock, log };
}

async function login(auth: Auth, name = 'line3', word = 'one'): Promise<Access> {
  const access = await auth.login(name, word);
  if (!access) throw new Error(`${name} cannot log in`);
  return access;
}

async function bearer(auth: Auth, access: Access, ...scopes: string[]): Promise<string> {
  return `Bearer ${(await auth.issue(access, parseScopes(scopes))).accessToken}`;
}

async function enter(auth: Auth, authorization: string): Promise<Access> {
  const answer = await auth.authenticate(authorization);
  if (answer.kind !== 'authenticated') throw new Error(`not authenticated: ${JSON.stringify(answer)}`);
  return answer.access;
}

async function kindOf(auth: Auth, authorization: string | undefined): Promise<string> {
  return (await auth.authenticate(authorization)).kind;
}

const allowed = (access: Access, name = hello) => repositoryActions.filter((action) => access.allows(name, action));

describe('createAuth()', () => {
  it('throws for a short signing key', () => {
    expect(() => start({ signingKey: Buffer.alloc(31) })).to.throw(RangeError);
  });

  it('lets nobody in before settings are applied', async () => {
    const auth = createAuth({ signingKey, clock: new ManualClock(), log: new RecordingLog() });
    expect(await auth.login('line3', 'one')).to.equal(undefined);
    expect(await auth.login('admin', 'admin')).to.equal(undefined);
  });

  it('never logs a password, a hash or an unknown name', async () => {
    const { auth, log } = start();
    apply(auth, { tokens: [line3({ passwords: [{ ...password('one'), hash: 'plain-secret' }] })] });
    await auth.login('line3', 'wrong-secret');
    await auth.login('typed-secret', 'x');
    await auth.authenticate(basic('line3', 'basic-secret'));
    await auth.authenticate('Bearer bearer-secret');
    expect(log.lines).to.have.length.greaterThan(2);
    expect(JSON.stringify(log.lines)).not.to.match(/secret|scrypt\$/);
  });

  it('warns of two accounts with one name; the child keeps it', async () => {
    const { auth, log } = start();
    apply(auth, { tokens: [line3({ name: 'plant7line3' })] });
    expect(log.lines.map(({ level }) => level)).to.include('warn');
    expect(await auth.login('plant7line3', 'one')).to.equal(undefined);
    expect(await auth.login('plant7line3', 'child')).to.include({ kind: 'sync-token' });
  });
});

describe('login()', () => {
  it('takes both passwords of a token', async () => {
    const { auth } = start();
    for (const word of ['one', 'two']) {
      expect(await auth.login('line3', word)).to.include({ principal: 'line3', kind: 'client-token' });
    }
  });

  it('refuses a wrong password, an unknown name, and a password of somebody else', async () => {
    const { auth } = start();
    expect(await auth.login('line3', 'wrong')).to.equal(undefined);
    expect(await auth.login('nobody', 'one')).to.equal(undefined);
    expect(await auth.login('line3', 'child')).to.equal(undefined);
    expect(await auth.login('', '')).to.equal(undefined);
  });

  it('refuses a disabled token', async () => {
    const { auth } = start();
    apply(auth, { tokens: [line3({ status: 'disabled' })] });
    expect(await auth.login('line3', 'one')).to.equal(undefined);
  });

  it('refuses a password from the instant of its expiry on, the other one stays', async () => {
    const { auth, clock } = start();
    apply(auth, { tokens: [line3({ passwords: [password('one', '2026-11-24T09:01:00Z'), password('two')] })] });
    await clock.advance(minuteMs - 1);
    expect(await auth.login('line3', 'one')).not.to.equal(undefined);
    await clock.advance(1);
    expect(await auth.login('line3', 'one')).to.equal(undefined);
    expect(await auth.login('line3', 'two')).not.to.equal(undefined);
  });

  it('refuses a token that is disabled while its password is checked', async () => {
    const { auth } = start();
    const pending = auth.login('line3', 'one');
    apply(auth, { tokens: [] });
    expect(await pending).to.equal(undefined);
  });
});

describe('authenticate()', () => {
  const rows: readonly (readonly [string, string | undefined, string])[] = [
    ['no header', undefined, 'anonymous'],
    ['an empty header', '', 'anonymous'],
    ['Basic', basic('line3', 'one'), 'authenticated'],
    ['basic in lower case', basic('line3', 'one').replace('Basic', 'basic'), 'authenticated'],
    ['a wrong password', basic('line3', 'wrong'), 'rejected'],
    ['bad base64', 'Basic %%%', 'rejected'],
    ['no credentials', 'Basic', 'rejected'],
    ['another scheme', 'Digest username="line3"', 'rejected'],
    ['a token that is none', 'Bearer abc', 'rejected'],
    ['two tokens', 'Bearer abc def', 'rejected'],
  ];
  for (const [what, header, kind] of rows) {
    it(`answers ${kind}, given ${what}`, async () => expect(await kindOf(start().auth, header)).to.equal(kind));
  }

  it('gives Basic everything the token may', async () => {
    const access = await enter(start().auth, basic('line3', 'one'));
    expect(allowed(access)).to.deep.equal(['content/read', 'metadata/read']);
    expect(allowed(access, other)).to.deep.equal([]);
    expect(access.allowsCatalog).to.equal(true);
  });

  it('narrows Bearer to its scopes', async () => {
    const { auth } = start();
    const access = await enter(auth, await bearer(auth, await login(auth), 'repository:plant/hello:pull,push'));
    expect(access).to.include({ principal: 'line3', kind: 'client-token', allowsCatalog: false });
    expect(allowed(access)).to.deep.equal(['content/read', 'metadata/read']);
    expect(allowed(access, repository('plant/other'))).to.deep.equal([]);
  });

  it('tells what the owner of a narrow Bearer may, and of Basic the same', async () => {
    const { auth } = start();
    const access = await enter(auth, await bearer(auth, await login(auth)));
    expect(allowed(access.unnarrowed)).to.deep.equal(['content/read', 'metadata/read']);
    const whole = await enter(auth, basic('line3', 'one'));
    expect(whole.unnarrowed).to.equal(whole);
  });

  it('authenticates a Bearer without scopes, and allows it nothing', async () => {
    const { auth } = start();
    const access = await enter(auth, await bearer(auth, await login(auth)));
    expect(allowed(access)).to.deep.equal([]);
    expect(access.allowsCatalog).to.equal(false);
  });

  it('shows catalog rows and tags, nothing else, to a Bearer for the catalog', async () => {
    const { auth } = start();
    const access = await enter(auth, await bearer(auth, await login(auth), 'registry:catalog:*'));
    expect(access.allowsCatalog).to.equal(true);
    expect(allowed(access)).to.deep.equal(['metadata/read']);
    expect(allowed(access, other)).to.deep.equal([]);
  });
});

describe('apply()', () => {
  const ends: Record<string, () => Wanted> = {
    'the token is disabled': () => ({ tokens: [line3({ status: 'disabled' })] }),
    'the token is removed': () => ({ tokens: [] }),
    'its password is replaced': () => ({ tokens: [line3({ passwords: [password('three'), password('two')] })] }),
  };
  for (const [what, change] of Object.entries(ends)) {
    it(`ends access and refresh tokens at once when ${what}`, async () => {
      const { auth } = start();
      const access = await login(auth);
      const header = await bearer(auth, access, 'repository:plant/hello:pull');
      const refreshToken = await auth.issueRefreshToken(access);
      expect(await kindOf(auth, header)).to.equal('authenticated');
      expect(await auth.refresh(refreshToken)).not.to.equal(undefined);
      apply(auth, change());
      expect(await kindOf(auth, header)).to.equal('rejected');
      expect(await auth.refresh(refreshToken)).to.equal(undefined);
      expect(await auth.login('line3', 'one')).to.equal(undefined);
    });
  }

  it('keeps tokens of one password when the other is replaced', async () => {
    const { auth } = start();
    const header = await bearer(auth, await login(auth, 'line3', 'two'));
    apply(auth, { tokens: [line3({ passwords: [password('three'), password('two')] })] });
    expect(await kindOf(auth, header)).to.equal('authenticated');
  });

  it('takes permissions away from bearer tokens issued before', async () => {
    const { auth } = start();
    const header = await bearer(auth, await login(auth), 'repository:plant/hello:pull');
    apply(auth, { actions: ['repositories/plant/*/metadata/read'] });
    expect(allowed(await enter(auth, header))).to.deep.equal(['metadata/read']);
    apply(auth, { actions: [] });
    expect(allowed(await enter(auth, header))).to.deep.equal([]);
  });

  it('never widens a bearer token issued before', async () => {
    const { auth } = start();
    const header = await bearer(auth, await login(auth), 'repository:plant/hello:pull,push');
    apply(auth, { actions: ['repositories/*/content/read', 'repositories/*/content/write'] });
    expect(allowed(await enter(auth, header))).to.deep.equal(['content/read']);
  });

  it('allows nothing under a scope map that is not there', async () => {
    const { auth } = start();
    apply(auth, { tokens: [line3({ scopeMap: 'missing' })] });
    const access = await login(auth);
    expect(allowed(access)).to.deep.equal([]);
    expect(access.allowsCatalog).to.equal(false);
  });
});

describe('a sync token', () => {
  it('of a ReadOnly child reads its repositories and acts at its own gateway', async () => {
    const access = await login(start().auth, 'plant7line3', 'child');
    expect(access).to.include({ kind: 'sync-token', allowsCatalog: true });
    expect(allowed(access)).to.deep.equal(['content/read', 'metadata/read']);
    expect(allowed(access, other)).to.deep.equal([]);
    for (const action of ['config/read', 'config/write', 'message/read', 'message/write'] as const) {
      expect(access.allowsGateway('plant7line3', action)).to.equal(true);
      expect(access.allowsGateway('plant7line4', action)).to.equal(false);
    }
  });

  it('of a ReadWrite child may do everything in its repositories', async () => {
    const { auth } = start();
    apply(auth, { childMode: 'ReadWrite' });
    const access = await login(auth, 'plant7line3', 'child');
    expect(allowed(access)).to.deep.equal([...repositoryActions]);
    expect(allowed(access, other)).to.deep.equal([]);
  });

  it('acts at its gateway by bearer token only with a gateway scope', async () => {
    const { auth } = start();
    const owner = await login(auth, 'plant7line3', 'child');
    const narrow = await enter(auth, await bearer(auth, owner, 'repository:plant/hello:pull'));
    const reader = await enter(auth, await bearer(auth, owner, 'gateway:plant7line3:message_read'));
    const whole = await enter(auth, await bearer(auth, owner, 'gateway:plant7line3:*', 'gateway:plant8:*'));
    expect(narrow.allowsGateway('plant7line3', 'message/read')).to.equal(false);
    expect(reader.allowsGateway('plant7line3', 'message/read')).to.equal(true);
    expect(reader.allowsGateway('plant7line3', 'message/write')).to.equal(false);
    expect(whole.allowsGateway('plant7line3', 'message/write')).to.equal(true);
    expect(whole.allowsGateway('plant8', 'message/write')).to.equal(false);
  });
});

describe('the admin', () => {
  it('may do everything, whatever the settings say', async () => {
    const { auth } = start({ admin: true });
    apply(auth, { tokens: [line3({ name: 'admin' })] });
    const access = await login(auth, 'admin', 'admin');
    expect(access).to.include({ kind: 'admin', allowsCatalog: true });
    expect(allowed(access, other)).to.deep.equal([...repositoryActions]);
    expect(access.allowsGateway('plant7line3', 'config/write')).to.equal(true);
  });

  it('gets bearer tokens that are narrowed too', async () => {
    const { auth } = start({ admin: true });
    const header = await bearer(auth, await login(auth, 'admin', 'admin'), 'repository:office/hello:*');
    const access = await enter(auth, header);
    expect(allowed(access, other)).to.deep.equal([...repositoryActions]);
    expect(allowed(access, hello)).to.deep.equal([]);
    expect(access.allowsCatalog).to.equal(false);
  });
});

describe('issue()', () => {
  it('makes a JWT in docker form, for 60 minutes by the given clock', async () => {
    const { auth, clock } = start();
    const issued = await auth.issue(await login(auth), parseScopes(['repository:plant/hello:pull,push']));
    expect(issued.expiresInSeconds).to.equal(3600);
    expect(issued.issuedAt).to.deep.equal(clock.now());
    const claims = decodeJwt(issued.accessToken);
    expect(decodeProtectedHeader(issued.accessToken)).to.deep.equal({ alg: 'HS256', typ: 'at+jwt' });
    expect(claims).to.deep.include({ sub: 'line3', iat: clock.now().getTime() / 1000 });
    expect(claims.exp! - claims.iat!).to.equal(3600);
    expect(claims['access']).to.deep.equal([
      { type: 'repository', name: 'plant/hello', actions: ['pull', 'metadata_read'] },
    ]);
    expect(JSON.stringify(claims)).not.to.include(hashes.one.slice(-43));
  });

  it('never widens what a bearer token allows', async () => {
    const { auth } = start();
    const narrow = await enter(auth, await bearer(auth, await login(auth), 'repository:plant/hello:pull'));
    const again = await enter(auth, await bearer(auth, narrow, 'repository:plant/other:pull', 'registry:catalog:*'));
    expect(allowed(again, repository('plant/other'))).to.deep.equal([]);
    expect(again.allowsCatalog).to.equal(false);
  });

  it('throws UNAUTHORIZED for an access it did not make', async () => {
    const { auth } = start();
    const foreign = await login(start().auth);
    const failure: unknown = await auth.issue(foreign, []).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(RegistryError).that.includes({ code: 'UNAUTHORIZED' });
  });
});

describe('a bearer token', () => {
  // Both ways: verified for the first time, and remembered from an earlier request.
  for (const seen of [false, true]) {
    const how = seen ? 'remembered' : 'fresh';

    it(`ends after its lifetime and a minute of skew, ${how}`, async () => {
      const { auth, clock } = start();
      const header = await bearer(auth, await login(auth));
      if (seen) await enter(auth, header);
      await clock.advance(61 * minuteMs - 1000);
      expect(await kindOf(auth, header)).to.equal('authenticated');
      await clock.advance(1000);
      expect(await auth.authenticate(header)).to.deep.equal({ kind: 'rejected', reason: 'the token has expired' });
    });

    it(`is refused when the clock was set back by more than a minute, ${how}`, async () => {
      const { auth, clock } = start();
      const header = await bearer(auth, await login(auth));
      if (seen) await enter(auth, header);
      await clock.advance(-minuteMs);
      expect(await kindOf(auth, header)).to.equal('authenticated');
      await clock.advance(-2 * minuteMs);
      expect(await kindOf(auth, header)).to.equal('rejected');
    });

    it(`ends with the password that was given for it, ${how}`, async () => {
      const { auth, clock } = start();
      apply(auth, { tokens: [line3({ passwords: [password('one', '2026-11-24T09:30:00Z')] })] });
      const header = await bearer(auth, await login(auth));
      if (seen) await enter(auth, header);
      await clock.advance(30 * minuteMs);
      expect(await kindOf(auth, header)).to.equal('rejected');
    });
  }

  it('is good after a restart with the same key, refused under another', async () => {
    const { auth } = start();
    const issued = await bearer(auth, await login(auth));
    expect(await kindOf(start().auth, issued)).to.equal('authenticated');
    expect(await kindOf(start({ signingKey: Buffer.alloc(32, 8) }).auth, issued)).to.equal('rejected');
  });

  it('is refused when a character is changed', async () => {
    const { auth } = start();
    const header = await bearer(auth, await login(auth), 'repository:plant/hello:pull');
    await enter(auth, header);
    for (const at of [10, header.indexOf('.') + 10, header.lastIndexOf('.') + 10]) {
      const changed = `${header.slice(0, at)}${header[at] === 'A' ? 'B' : 'A'}${header.slice(at + 1)}`;
      expect(await kindOf(auth, changed)).to.equal('rejected');
    }
  });

  describe('forged', () => {
    const claims = async (auth: Auth) => decodeJwt((await bearer(auth, await login(auth))).slice('Bearer '.length));
    const sign = (payload: object, header: { alg?: string; typ?: string }) =>
      new SignJWT({ ...payload }).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', ...header }).sign(signingKey);

    it('as a control, our claims under our key are accepted', async () => {
      const { auth } = start();
      expect(await kindOf(auth, `Bearer ${await sign(await claims(auth), {})}`)).to.equal('authenticated');
    });

    it('without a signature is refused', async () => {
      const { auth } = start();
      const unsigned = new UnsecuredJWT(await claims(auth)).encode();
      expect(await kindOf(auth, `Bearer ${unsigned}`)).to.equal('rejected');
    });

    it('under another algorithm is refused', async () => {
      const { auth } = start();
      const token = await new SignJWT(await claims(auth))
        .setProtectedHeader({ alg: 'HS512', typ: 'at+jwt' })
        .sign(Buffer.alloc(64, 7));
      expect(await kindOf(auth, `Bearer ${token}`)).to.equal('rejected');
    });

    const broken: Record<string, Record<string, unknown>> = {
      'another issuer': { iss: 'somebody' },
      'another audience': { aud: 'somebody' },
      'no expiry': { exp: undefined },
      'no time of issue': { iat: undefined },
      'no subject': { sub: undefined },
      'no password': { password: undefined },
      'no access': { access: undefined },
      'access of another form': { access: [{ type: 'repository', name: 'plant/hello', actions: 'pull' }] },
      'a long life': { exp: 4_000_000_000, iat: new Date('2026-11-24T07:00:00Z').getTime() / 1000 },
    };
    for (const [what, change] of Object.entries(broken)) {
      it(`with ${what} is refused`, async () => {
        const { auth } = start();
        const token = await sign({ ...(await claims(auth)), ...change }, {});
        expect(await kindOf(auth, `Bearer ${token}`)).to.equal('rejected');
      });
    }

    it('with another type is refused', async () => {
      const { auth } = start();
      expect(await kindOf(auth, `Bearer ${await sign(await claims(auth), { typ: 'JWT' })}`)).to.equal('rejected');
    });
  });
});

describe('refresh()', () => {
  it('brings back everything its owner may', async () => {
    const { auth } = start();
    const access = await auth.refresh(await auth.issueRefreshToken(await login(auth)));
    expect(access).to.include({ principal: 'line3', allowsCatalog: true });
    expect(allowed(access!)).to.deep.equal(['content/read', 'metadata/read']);
  });

  it('takes no access token, and authenticate() no refresh token', async () => {
    const { auth } = start();
    const access = await login(auth);
    const header = await bearer(auth, access);
    const refreshToken = await auth.issueRefreshToken(access);
    await enter(auth, header);
    await auth.refresh(refreshToken);
    expect(await auth.refresh(header.slice('Bearer '.length))).to.equal(undefined);
    expect(await kindOf(auth, `Bearer ${refreshToken}`)).to.equal('rejected');
  });

  it('cannot be prepared by a bearer token: issueRefreshToken() throws DENIED', async () => {
    const { auth } = start();
    const narrow = await enter(auth, await bearer(auth, await login(auth), 'repository:plant/hello:pull'));
    const failure: unknown = await auth.issueRefreshToken(narrow).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(RegistryError).that.includes({ code: 'DENIED' });
  });

  it('ends after 90 days', async () => {
    const { auth, clock } = start();
    const refreshToken = await auth.issueRefreshToken(await login(auth));
    await clock.advance(90 * dayMs - minuteMs);
    expect(await auth.refresh(refreshToken)).not.to.equal(undefined);
    await clock.advance(2 * minuteMs);
    expect(await auth.refresh(refreshToken)).to.equal(undefined);
  });

  it('is undefined for what is no token', async () => {
    expect(await start().auth.refresh('')).to.equal(undefined);
  });
});
