import { expect } from 'chai';
import fc from 'fast-check';
import type { Problem } from '../../../modules/registry/src/settings/settings.ts';
import type { JsonObject } from '../../../modules/registry/src/twin/twin.ts';
import {
  checkCreateOptions,
  createOptionsKey,
  splitCreateOptions,
} from '../../../scripts/deployment/create-options.ts';

function split(createOptions: string | JsonObject): Record<string, string> {
  const problems: Problem[] = [];
  const made = splitCreateOptions({ settings: { image: 'a', createOptions } }, problems) as {
    settings: Record<string, string>;
  };
  expect(problems).to.deep.equal([]);
  return made.settings;
}

/** As edgeAgent reads them. */
function joined(settings: Record<string, string>): string {
  const parts = Array.from({ length: 100 }, (_, index) => settings[createOptionsKey(index)] ?? '');
  return parts.join('');
}

describe('splitCreateOptions()', () => {
  it('makes one string of what is short, and of nothing', () => {
    expect(split({ Labels: { a: '1' } })).to.deep.equal({ image: 'a', createOptions: '{"Labels":{"a":"1"}}' });
    expect(split('')).to.deep.equal({ image: 'a', createOptions: '' });
  });

  it('fills each part to 512 characters and names the next ones 01, 02', () => {
    const made = split({ l: 'x'.repeat(1017) });
    expect(Object.keys(made)).to.deep.equal(['image', 'createOptions', 'createOptions01', 'createOptions02']);
    expect(Object.values(made).map(({ length }) => length)).to.deep.equal([1, 512, 512, 1]);
    expect(split({ l: 'x'.repeat(1016) })).not.to.have.property('createOptions02');
  });

  it('takes exactly a hundred parts', () => {
    const made = split({ l: 'x'.repeat(51_200 - 8) });
    expect(made).to.have.property('createOptions99').with.length(512);
    const problems: Problem[] = [];
    splitCreateOptions({ createOptions: { l: 'x'.repeat(51_200 - 7) } }, problems, '/settings');
    expect(problems.map(({ path }) => path)).to.deep.equal(['/settings/createOptions']);
  });

  it('leaves parts alone that the template has split already', () => {
    const settings = { createOptions: '{"a":', createOptions01: '1}' };
    expect(splitCreateOptions(settings, [])).to.deep.equal(settings);
  });

  it('is undone by edgeAgent, whatever the object holds', () =>
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', maxLength: 400 })),
        (value) => {
          const made = split(value);
          expect(JSON.parse(joined(made))).to.deep.equal(JSON.parse(JSON.stringify(value)));
          expect(checkCreateOptions(made, '')).to.deep.equal([]);
          expect(joined(made)).to.match(/^[\x20-\x7e]*$/);
        },
      ),
    ));
});
