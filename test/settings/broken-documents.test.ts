import { expect } from 'chai';
import fc from 'fast-check';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { schema } from '../../modules/registry/src/settings/schema.ts';
import type { Schema } from '../../modules/registry/src/settings/schema-words.ts';
import { changed, fullDocument, placesOf, type Key, type Place } from './full-document.ts';

/** One change of the full document, and the pointers of which at least one must be reported. */
type Breakage = readonly [keys: readonly Key[], value: unknown, reported?: string];

const hash = fullDocument().clientTokens[0]?.passwords[0]?.hash ?? '';
const token = fullDocument().clientTokens[0];
const child = fullDocument().children[0];
const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const schedule = ['parent', 'syncProperties', 'schedule'];
const window = ['parent', 'syncProperties', 'syncWindow'];
const messageTtl = ['parent', 'syncProperties', 'messageTtl'];
const firstHash = ['clientTokens', 0, 'passwords', 0, 'hash'];
const endpoint = ['parent', 'gatewayEndpoint'];

const breakages: readonly Breakage[] = [
  ...[
    '',
    '* * * *',
    '0 0 5 * * *',
    '60 * * * *',
    '0 24 * * *',
    '0 0 30 2 *',
    '@daily',
    'H * * * *',
    '0 0 L * *',
    '? * * * *',
  ].map((text): Breakage => [schedule, text]),
  [['garbageCollection', 'schedule'], 'nightly'],
  ...['PT59M', 'P7DT1S', 'P8D', '3h', '-PT3H', 'P1M', 'P', 'PT'].map((text): Breakage => [window, text]),
  [window, undefined],
  ...['PT23H', 'P91D', 'P1Y', '2'].map((text): Breakage => [messageTtl, text]),
  ...[
    'https://contoso.azurecr.io',
    'contoso.azurecr.io/x',
    'a b',
    'host:0',
    'host:65536',
    '::1',
    '[::1',
    '1.2.3',
    '',
    '-a',
    'user@host',
  ].map((text): Breakage => [endpoint, text]),
  [['parent', 'protocol'], 'ftp'],
  [['parent', 'syncToken', 'name'], 'a:b'],
  [['parent', 'syncToken', 'password'], ''],
  [['parent', 'syncToken', 'password'], 'x'.repeat(4097)],
  ...[
    'plaintext',
    hash.replace('ln=15', 'ln=9'),
    hash.replace('ln=15', 'ln=21'),
    hash.replace('r=8', 'r=33'),
    hash.replace('r=8', 'r=0'),
    hash.replace('p=1', 'p=17'),
    hash.replace('scrypt', 'argon2id'),
    `${hash}=`,
    hash.replace('c2FsdHNhbHRzYWx0', 'c2Fs'),
  ].map((text): Breakage => [firstHash, text]),
  ...['tomorrow', '2027-01-01', '2027-02-30T00:00:00Z', '2027-01-01T00:00:00'].map((text): Breakage => [
    ['clientTokens', 0, 'passwords', 0, 'expiry'],
    text,
  ]),
  [['clientTokens', 0, 'passwords', 1, 'name'], 'password1'],
  [['clientTokens', 0, 'passwords'], many(3, (index) => ({ name: `p${index}`, hash }))],
  [['clientTokens', 0, 'name'], 'line:3'],
  [['clientTokens', 0, 'scopeMap'], 'pushers'],
  [['clientTokens', 1], token, '/clientTokens/1/name'],
  [['clientTokens'], many(31, (index) => ({ ...token, name: `t${index}` }))],
  [['limits', 'clientTokens'], 51],
  [['limits', 'clientTokens'], 0],
  [['scopeMaps', 1], { name: 'pullers' }, '/scopeMaps/1/name'],
  [['scopeMaps', 0, 'actions'], many(501, (index) => `repositories/r${index}/content/read`)],
  ...[
    'repositories/plant/*/content/destroy',
    'repositories//content/read',
    'repositories/Plant/content/read',
    'gateway/abc/message/read',
    'gateway/plant7line3/content/read',
    'content/read',
    '*',
  ].map((text): Breakage => [['scopeMaps', 0, 'actions', 0], text]),
  ...['abcd', 'x'.repeat(51), 'plant-7'].map((text): Breakage => [['children', 0, 'name'], text]),
  [['children', 0, 'repositories', 0], 'elsewhere/*'],
  [['children', 0, 'repositories', 0], '*'],
  [['children', 0, 'syncToken', 'name'], 'line3'],
  [['children', 1], { ...child, name: 'PLANT7LINE3', syncToken: { name: 'other' } }, '/children/1/name'],
  ...['Plant/x', 'plant//x', '/plant', 'plant/'].map((text): Breakage => [['repositories', 0], text]),
  [['repositories', 2], 'plant/*'],
  [['repositories', 2], { name: 'plant/*' }, '/repositories/2/name'],
  [['repositories', 1], { tags: [] }, '/repositories/1/name'],
  ...['1.5 beta', '!', '!!a', '', 'a/b', '-a'].map((text): Breakage => [['repositories', 1, 'tags', 0], text]),
  ...['', 'newest', '>=1.5 <', '1.5 beta'].map((text): Breakage => [['repositories', 1, 'semver'], text]),
  ...['linux', 'linux/', 'Linux/amd64', 'linux/arm/v7/x'].map((text): Breakage => [
    ['repositories', 1, 'platforms', 0],
    text,
  ]),
  ...[0, 17, 1.5].map((value): Breakage => [['transfer', 'concurrency'], value]),
  ...[-1, 0.5, 2 ** 52].map((value): Breakage => [['transfer', 'bytesPerSecond'], value]),
  [['storage', 'quotaBytes'], -1],
  ...[-1, 101, 0.5].map((value): Breakage => [['removal', 'maxPercent'], value]),
  [['removal', 'freeTags'], -1],
  ...['24:00', '6:00', '06:60', 'noon'].map((text): Breakage => [['transfer', 'budgets', 0, 'from'], text]),
  [['transfer', 'budgets', 0, 'to'], '06:00'],
  [['transfer', 'budgets', 0, 'days', 0], 'Monday'],
  [['logging', 'logLevel'], 'information'],
  [['logging', 'auditLogStatus'], 'enabled'],
  [['activation', 'status'], 'active'],
  ...['plant', 'plant:pull', ':push', '*', 'a@b:push', 'a:b:c:push'].map((text): Breakage => [
    ['notificationsList', 0],
    text,
  ]),
];

describe('parseSettings(), broken documents', () => {
  it('accepts the document they are made from', () => {
    expect(parseSettings(fullDocument())).to.have.property('ok', true);
  });

  it('makes more than 100 of them by hand', () => expect(breakages.length).to.be.greaterThan(100));

  for (const [keys, value, reported] of breakages) {
    const text = value === undefined ? 'nothing' : JSON.stringify(value);
    it(`refuses ${text.length > 60 ? `${text.slice(0, 60)}…` : text} at ${pointer(keys)}`, () => {
      const parsed = parseSettings(changed({ keys, value }));
      expect(parsed.ok).to.equal(false);
      expect(!parsed.ok && parsed.problems.map(({ path }) => path)).to.include(reported ?? pointer(keys));
    });
  }

  it('refuses a ReadWrite child of a ReadOnly registry', () => {
    const parsed = parseSettings({ ...fullDocument(), mode: 'ReadOnly', children: [{ ...child, mode: 'ReadWrite' }] });
    expect(!parsed.ok && parsed.problems.map(({ path }) => path)).to.deep.equal(['/children/0/mode']);
  });

  it('refuses more than 20 client tokens, limit not raised', () => {
    const clientTokens = many(21, (index) => ({ ...token, name: `t${index}` }));
    expect(parseSettings({ ...fullDocument(), limits: {}, clientTokens })).to.have.nested.property(
      'problems[0].path',
      '/clientTokens',
    );
    expect(parseSettings({ ...fullDocument(), limits: {}, clientTokens: clientTokens.slice(1) })).to.have.property(
      'ok',
      true,
    );
  });

  const places = placesOf(fullDocument());

  it('refuses a value of the wrong kind anywhere, and says where', () => {
    const wrongKind = fc
      .record({ place: fc.constantFrom(...places), value: fc.jsonValue() })
      .filter(({ place, value }) => kindOf(place.value) !== kindOf(value) && !isOtherForm(place, value));
    fc.assert(
      fc.property(wrongKind, ({ place, value }) => {
        const parsed = parseSettings(changed({ keys: place.keys, value }));
        const where = pointer(place.keys);
        expect(!parsed.ok && parsed.problems.some(({ path }) => path === where)).to.equal(true);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses an unknown key anywhere, and says where', () => {
    const objects = places.filter(({ value }) => kindOf(value) === 'object');
    const known = knownKeys(schema);
    const stranger = fc.string({ minLength: 1, maxLength: 8 }).filter((key) => !known.has(key));
    fc.assert(
      fc.property(fc.constantFrom(...objects), stranger, fc.jsonValue(), ({ keys }, key, value) => {
        const parsed = parseSettings(changed({ keys: [...keys, key], value }));
        const where = pointer([...keys, key]);
        expect(!parsed.ok && parsed.problems.some(({ path }) => path === where)).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });

  it('never throws and always answers, any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...places), (value, { keys }) => {
        for (const document of [value, changed({ keys, value })]) {
          const parsed = parseSettings(document);
          if (!parsed.ok) expect(parsed.problems).not.to.be.empty;
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** An entry of `repositories` may be a string or an object. */
function isOtherForm({ keys }: Place, value: unknown): boolean {
  return keys[0] === 'repositories' && keys.length === 2 && ['string', 'object'].includes(kindOf(value));
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function knownKeys(node: Schema): Set<string> {
  const properties = Object.entries(node.properties ?? {});
  const inner = [...properties.map(([, property]) => property), ...(node.items ? [node.items] : [])];
  return new Set([...properties.map(([key]) => key), ...inner.flatMap((property) => [...knownKeys(property)])]);
}

function pointer(keys: readonly Key[]): string {
  return keys.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
