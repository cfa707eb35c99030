import { expect } from 'chai';
import { isCron } from '../../modules/registry/src/settings/cron.ts';
import { parseDurationMs } from '../../modules/registry/src/settings/duration.ts';
import { isEndpoint } from '../../modules/registry/src/settings/endpoint.ts';
import { parseNotification } from '../../modules/registry/src/settings/notification.ts';
import { gatewayActions, parsePermission, repositoryActions } from '../../modules/registry/src/settings/permission.ts';

describe('isEndpoint()', () => {
  for (const text of ['contoso.azurecr.io', 'edge7:8000', '10.0.0.1:443', '[::1]', '[fe80::1]:8080', 'my_host', 'a']) {
    it(`takes ${text}`, () => expect(isEndpoint(text)).to.equal(true));
  }
  for (const text of [
    '',
    ':80',
    'a:',
    'a:0',
    'a:65536',
    'a:b',
    '::1',
    '[a]',
    '[]',
    '256.1.1.1',
    'a..b',
    'a/',
    'x@y',
    'a b',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(isEndpoint(text)).to.equal(false));
  }
});

describe('isCron()', () => {
  for (const text of ['* * * * *', '0 22 * * MON-FRI', '*/15 8-17 1,15 jan,Jul *', '0 0 29 2 *', ' 0  5 * * 7 ']) {
    it(`takes ${text}`, () => expect(isCron(text)).to.equal(true));
  }
  for (const text of [
    '0 0 31 4 *',
    '0 0 LW * *',
    '0 0 15W * *',
    '0 0 * * 1#2',
    '* * * * SAT-SUN',
    '* * * * FOO',
    '*/0 * * * *',
  ]) {
    it(`refuses ${text}`, () => expect(isCron(text)).to.equal(false));
  }
});

describe('parseDurationMs()', () => {
  for (const [text, expected] of [
    ['PT1H', 3_600_000],
    ['P2D', 172_800_000],
    ['P1W', 604_800_000],
    ['P1DT30M', 88_200_000],
    ['P1M', undefined],
    ['P1Y', undefined],
    ['P', undefined],
    ['1h', undefined],
  ] as const) {
    it(`reads ${text}`, () => expect(parseDurationMs(text)).to.equal(expected));
  }
});

describe('parsePermission()', () => {
  for (const action of repositoryActions) {
    it(`reads ${action} on a repository`, () => {
      const expected = { kind: 'repository', pattern: 'plant/content/*', action };
      expect(parsePermission(`repositories/plant/content/*/${action}`)).to.deep.equal(expected);
    });
  }
  for (const action of gatewayActions) {
    it(`reads ${action} on a gateway`, () => {
      expect(parsePermission(`gateway/plant7/${action}`)).to.deep.equal({
        kind: 'gateway',
        registry: 'plant7',
        action,
      });
    });
  }
  for (const text of ['', 'repositories/content/read', 'repositories/a/config/read', 'gateway/plant7/x/message/read']) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parsePermission(text)).to.equal(undefined));
  }
});

describe('parseNotification()', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const rows: readonly (readonly [string, unknown])[] = [
    ['*:*', { repository: '*', tag: undefined, digest: undefined, action: '*' }],
    ['*:*:*', { repository: '*', tag: '*', digest: undefined, action: '*' }],
    ['*@*:*', { repository: '*', tag: undefined, digest: '*', action: '*' }],
    ['path/*:push', { repository: 'path/*', tag: undefined, digest: undefined, action: 'push' }],
    ['sample/repo/*:1.0:*', { repository: 'sample/repo/*', tag: '1.0', digest: undefined, action: '*' }],
    [`repo@${digest}:delete`, { repository: 'repo', tag: undefined, digest, action: 'delete' }],
    [`repo:tag@${digest}:push`, { repository: 'repo', tag: 'tag', digest, action: 'push' }],
    ['repo@sha256:abc:delete', undefined],
    ['repo:tag', undefined],
    ['Repo:push', undefined],
  ];
  for (const [text, expected] of rows) {
    it(`reads ${text}`, () => expect(parseNotification(text)).to.deep.equal(expected));
  }
});
