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

function rule(name: string, tags: readonly string[] = []): RepositoryRule {
  return { name: parseRepositoryPattern(name)!, tags, platforms: [] };
}
