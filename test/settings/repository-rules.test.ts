import { expect } from 'chai';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import { ruleFor, wantsTag } from '../../modules/registry/src/settings/repository-rules.ts';
import type { RepositoryRule } from '../../modules/registry/src/settings/settings.ts';
import { repository, tag } from '../helpers/names.ts';

describe('ruleFor()', () => {
  const rules = ['plant/*', 'plant/line*', 'plant/line3', 'hub'].map((name) => rule(name));
  for (const [name, expected] of [
    ['plant/line3', 'plant/line3'],
    ['plant/line4', 'plant/*'],
    ['hub', 'hub'],
    ['hubs', undefined],
  ] as const) {
    it(`finds ${expected ?? 'none'} for ${name}`, () => {
      expect(ruleFor(rules, repository(name))?.name).to.equal(expected);
    });
  }
});

describe('wantsTag()', () => {
  for (const [tags, name, expected] of [
    [[], 'latest', true],
    [['1.5*'], '1.5.3', true],
    [['1.5*'], '1.6', false],
    [['1.5*', '!*-rc*'], '1.5-rc1', false],
    [['!*-rc*'], '1.6', true],
    [['!*-rc*'], '1.6-rc1', false],
    [['!1.5', '1.5', 'latest'], '1.5', false],
  ] as const) {
    it(`says ${expected} for ${name} under ${JSON.stringify(tags)}`, () => {
      expect(wantsTag(rule('plant/*', tags), tag(name))).to.equal(expected);
    });
  }
});

describe('wantsTag() with a range of versions', () => {
  for (const [semver, tags, name, expected] of [
    ['>=1.5 <2', [], '1.5.0', true],
    ['>=1.5 <2', [], 'v1.9.3', true],
    ['>=1.5 <2', [], '2.0.0', false],
    ['>=1.5 <2', [], '1.6.0-rc1', false],
    ['>=1.6.0-rc1 <2', [], '1.6.0-rc2', true],
    ['>=1.6.0-rc1 <2', [], '1.7.0-rc1', false],
    ['>=1.6.0-rc1 <2', ['!*-rc*'], '1.6.0-rc2', false],
    ['>=1.5 <2', ['!1.6.*'], '1.6.0', false],
    ['>=1.5 <2', ['1.6.*'], '1.7.0', false],
    ['*', [], 'latest', false],
    ['*', [], '1.5', false],
    ['1.5.x || 3.x', [], '3.1.4', true],
  ] as const) {
    it(`says ${expected} for ${name} under ${semver} ${JSON.stringify(tags)}`, () => {
      expect(wantsTag({ ...rule('plant/*', tags), semver }, tag(name))).to.equal(expected);
    });
  }
});

function rule(name: string, tags: readonly string[] = []): RepositoryRule {
  return { name: parseRepositoryPattern(name)!, tags, platforms: [] };
}
