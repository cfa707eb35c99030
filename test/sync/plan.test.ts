import { expect } from 'chai';
import { digestOf } from '../../modules/registry/src/oci/digest.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import type { RepositoryRule } from '../../modules/registry/src/settings/settings.ts';
import { decideTag, planRepositories } from '../../modules/registry/src/sync/plan.ts';
import { repository } from '../helpers/names.ts';

const [a, b, c] = ['a', 'b', 'c'].map((text) => digestOf(Buffer.from(text))) as [
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
];

describe('decideTag()', () => {
  // parent, here, base, pending, mode -> decision
  const rows = [
    [a, undefined, undefined, false, 'ReadWrite', 'copy'],
    [a, undefined, undefined, true, 'ReadWrite', 'keep'],
    [a, a, a, false, 'ReadWrite', 'unchanged'],
    [a, a, undefined, false, 'ReadWrite', 'copy'],
    [b, a, a, false, 'ReadWrite', 'copy'],
    [b, a, a, false, 'ReadOnly', 'copy'],
    [a, b, a, true, 'ReadWrite', 'keep'],
    [c, b, a, true, 'ReadWrite', 'conflict'],
    [c, b, undefined, true, 'ReadWrite', 'conflict'],
    [c, c, a, true, 'ReadWrite', 'keep'],
    [a, b, a, false, 'ReadWrite', 'keep'],
    [c, b, a, false, 'ReadWrite', 'conflict'],
    [c, b, a, false, 'ReadOnly', 'copy'],
    [c, b, a, true, 'ReadOnly', 'conflict'],
  ] as const;
  for (const [parent, here, base, pending, mode, expected] of rows) {
    const short = (text: string | undefined): string => (text ? 'abc'[[a, b, c].indexOf(text as typeof a)]! : '-');
    const when = `parent ${short(parent)}, here ${short(here)}, base ${short(base)}, ${mode}${pending ? ', pending' : ''}`;
    it(`says ${expected}, ${when}`, () => {
      const local = here && { digest: here, base, updated: new Date(0), origin: 'local' as const };
      expect(decideTag({ mode, parent, local, pending })).to.equal(expected);
    });
  }
});

describe('planRepositories()', () => {
  const rule = (name: string): RepositoryRule => ({ name: parseRepositoryPattern(name)!, tags: [], platforms: [] });
  const listing = (...names: string[]) => ({
    listRepositories: async function* () {
      yield* names.map(repository);
    },
  });
  const broken = {
    listRepositories: async function* (): AsyncGenerator<never> {
      throw new Error('no catalog');
    },
  };
  const { signal } = new AbortController();

  async function plan(
    rules: RepositoryRule[],
    parent: { listRepositories: typeof broken.listRepositories },
    store = listing(),
  ) {
    const names: string[] = [];
    try {
      for await (const { repository: name, rule } of planRepositories({ rules, parent, store, signal })) {
        names.push(`${name} by ${rule.name}`);
      }
    } catch (error) {
      names.push((error as Error).message);
    }
    return names;
  }

  it('needs no catalog, with exact names', async () => {
    expect(await plan([rule('a'), rule('b'), rule('a')], broken)).to.deep.equal(['a by a', 'b by b']);
  });

  it('resolves patterns with the catalog, each repository once', async () => {
    const rules = [rule('plant/*'), rule('plant/a'), rule('*/b')];
    const parent = listing('other', 'plant/a', 'plant/b') as typeof broken;
    expect(await plan(rules, parent)).to.deep.equal(['plant/b by plant/*', 'plant/a by plant/a']);
  });

  it('keeps the order of the rules, not that of the catalog', async () => {
    const rules = [rule('z/*'), rule('m'), rule('*')];
    const parent = listing('a', 'm', 'z/1', 'z/2') as typeof broken;
    expect(await plan(rules, parent)).to.deep.equal(['z/1 by z/*', 'z/2 by z/*', 'm by m', 'a by *']);
  });

  it('goes on with what is held, and then throws, when the catalog fails', async () => {
    const names = await plan([rule('a'), rule('plant/*')], broken, listing('other', 'plant/a'));
    expect(names).to.deep.equal(['a by a', 'plant/a by plant/*', 'no catalog']);
  });
});
