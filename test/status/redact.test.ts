import { expect } from 'chai';
import fc from 'fast-check';
import { describeError, isSecretKey, redactText, redactValue } from '../../modules/registry/src/status/redact.ts';

/** Long enough not to occur by chance in what surrounds it. */
const secret = fc.stringMatching(/^[A-Za-z0-9+/_.~-]{16,40}={0,2}$/);
const prose = fc.stringMatching(/^[a-z ,.:]{0,30}$/);

const places: readonly (readonly [string, (secret: string) => string])[] = [
  ['a Basic header', (s) => `Authorization: Basic ${s}`],
  ['a Bearer header', (s) => `authorization: bearer ${s}`],
  ['a header as JSON', (s) => JSON.stringify({ headers: { authorization: `Bearer ${s}` } })],
  ['a scheme alone', (s) => `Bearer ${s}`],
  [
    'a connection string',
    (s) => `ConnectedRegistryName=a;SyncTokenName=b;SyncTokenPassword=${s};ParentGatewayEndpoint=c`,
  ],
  ['an IoT Hub connection string', (s) => `HostName=h;DeviceId=d;SharedAccessKey=${s}`],
  ['a SAS token', (s) => `SharedAccessSignature sr=h%2Fd&sig=${encodeURIComponent(s)}&se=1`],
  ['a SAS URL', (s) => `https://x.blob.core.windows.net/c/d?sv=1&sig=${encodeURIComponent(s)}&se=2`],
  ['an AWS signed URL', (s) => `https://b.s3.amazonaws.com/x?X-Amz-Credential=${s}&X-Amz-Signature=${s}`],
  ['the password of a URL', (s) => `https://user:${s.replaceAll('/', '_')}@host/v2/`],
  ['a form', (s) => `grant_type=refresh_token&service=x&refresh_token=${s}`],
  ['JSON', (s) => JSON.stringify({ syncToken: { name: 'a', password: s } })],
  ['printed JavaScript', (s) => `{ accessToken: 1, 'access_token': '${s}' }`],
  ['YAML', (s) => `password: ${s}`],
  ['a PHC hash', (s) => `$scrypt$ln=15,r=8,p=1$c2FsdA$${s}`],
  ['a private key', (s) => `-----BEGIN PRIVATE KEY-----\n${s.replaceAll('-', '')}\n-----END PRIVATE KEY-----`],
];

describe('redactText()', () => {
  for (const [place, plant] of places) {
    it(`hides a secret in ${place}`, () => {
      fc.assert(
        fc.property(secret, prose, prose, (value, before, after) => {
          const planted = place === 'a private key' ? value.replaceAll('-', '') : value;
          const cores = [planted, encodeURIComponent(planted), planted.replaceAll('/', '_')];
          const shown = redactText(`${before} ${plant(value)} ${after}`);
          for (const core of cores) expect(shown).not.to.include(core);
        }),
      );
    });
  }

  for (const text of [
    'manifest plant/hello@sha256:0000 not found',
    'pull from https://contoso.azurecr.io/v2/plant/hello@sha256:0000',
    'invalid token: expired',
    'tokenName=line3 SyncTokenName=line4;ParentGatewayEndpoint=host:8000',
    'Bearer token of line3 has expired',
    'tagsInSync=4 etag="abc"',
  ]) {
    it(`leaves ${JSON.stringify(text)} alone`, () => {
      expect(redactText(text)).to.equal(text);
    });
  }

  it('takes time in proportion to the text, hostile text too', () => {
    const hostile = [
      '://',
      'a.',
      '"token":"\\',
      'eyJa.',
      'eyJa-',
      '"a',
      "'aaaaaaaa",
      'authorization ',
      'bearer ',
      '-----BEGIN A',
      "'",
      'password',
      '$scrypt',
    ];
    for (const part of hostile) {
      const started = performance.now();
      redactText(part.repeat(200_000 / part.length));
      expect(performance.now() - started, part).to.be.below(1000);
    }
  });
});

describe('redactValue()', () => {
  it('shows no secret, wherever it stands in a structure', () => {
    const key = fc.constantFrom(
      'password',
      'SyncTokenPassword',
      'access_token',
      'Authorization',
      'hash',
      'connectionString',
    );
    const around = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(secret, key, around, fc.nat(5), (value, name, other, depth) => {
        let planted: unknown = { other, [name]: value };
        for (let level = 0; level < depth; level += 1) planted = level % 2 ? [planted, other] : { inner: planted };
        expect(JSON.stringify(redactValue(planted))).not.to.include(value);
      }),
    );
  });

  it('replaces what stands under a secret key whole, whatever its type', () => {
    expect(redactValue({ syncToken: { name: 'a', password: 'b' }, tokenName: 'c' })).to.deep.equal({
      syncToken: '[redacted]',
      tokenName: 'c',
    });
  });

  it('ends on a cycle', () => {
    const ring: Record<string, unknown> = {};
    ring['self'] = ring;
    expect(JSON.stringify(redactValue(ring))).to.include('…');
  });

  it('prints what JSON cannot: errors, dates, bytes, sets, maps, big numbers', () => {
    const shown = redactValue({
      error: new Error('no'),
      at: new Date(0),
      never: new Date(Number.NaN),
      bytes: Buffer.alloc(3),
      set: new Set([1]),
      map: new Map([['a', 1]]),
      big: 10n,
      run: () => 1,
      where: new URL('https://a:b@host/'),
    });
    expect(shown).to.deep.equal({
      error: 'no',
      at: '1970-01-01T00:00:00.000Z',
      never: 'invalid date',
      bytes: '3 bytes',
      set: [1],
      map: { a: 1 },
      big: '10',
      run: undefined,
      where: 'https://[redacted]@host/',
    });
  });
});

describe('isSecretKey()', () => {
  it('knows secrets from their names', () => {
    for (const key of [
      'password',
      'passwords',
      'sync_token',
      'SyncTokenPassword',
      'x-ms-signature',
      'Set-Cookie',
      'hash',
    ]) {
      expect(isSecretKey(key), key).to.equal(true);
    }
    for (const key of ['tokenName', 'clientTokens', 'digest', 'repository', 'hashes', 'principal', 'design']) {
      expect(isSecretKey(key), key).to.equal(false);
    }
  });
});

describe('describeError()', () => {
  it('tells causes and system codes', () => {
    const refused = Object.assign(new Error('connect failed'), { code: 'ECONNREFUSED' });
    const error = new Error('sync failed', { cause: new AggregateError([refused], 'fetch failed') });
    expect(describeError(error)).to.equal('sync failed: fetch failed: connect failed (ECONNREFUSED)');
  });

  it('ends when an error causes itself', () => {
    const error = new Error('a');
    error.cause = Object.assign(new Error('b'), { cause: error });
    expect(describeError(error).length).to.be.below(100);
  });
});
