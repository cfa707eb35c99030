import { expect } from 'chai';
import fc from 'fast-check';
import { parseRepositoryName } from '../../../modules/registry/src/oci/names.ts';
import { coversPattern, matchesPattern, type RepositoryPattern } from '../../../modules/registry/src/oci/pattern.ts';
import { parseSettings } from '../../../modules/registry/src/settings/parse-settings.ts';
import type { Settings } from '../../../modules/registry/src/settings/settings.ts';
import { pretendPassword } from '../../../scripts/hierarchy/passwords.ts';
import { planHierarchy, type PlannedLayer } from '../../../scripts/hierarchy/plan-hierarchy.ts';
import { readRenderer } from '../../../scripts/hierarchy/read-renderer.ts';
import { emptyState } from '../../../scripts/hierarchy/state.ts';
import { readWishes } from '../../../scripts/hierarchy/wishes.ts';
import { hierarchyOf, layer, type LayerFields } from './files.ts';

const names = ['plant/hello', 'plant/press', 'plant/*', 'tools', 'tools/deep', '*'];
const filters = { tags: ['1.*', '!*-rc*'], platforms: ['linux/amd64'] };
const repository = fc.oneof(
  fc.constantFrom(...names),
  fc.record({ name: fc.constantFrom(...names) }),
  fc.constantFrom(...names).map((name) => ({ name, ...filters })),
);
const repositories = fc.uniqueArray(repository, {
  maxLength: 4,
  selector: (entry) => (typeof entry === 'string' ? entry : entry.name),
});

const seed = fc.record({
  /** Which of the layers before it is its parent; past them: none. */
  parent: fc.nat(8),
  writes: fc.boolean(),
  repositories,
  clients: fc.nat(3),
});

/** Trees in which every layer keeps what those below it need. */
const tree = fc.array(seed, { minLength: 1, maxLength: 6 }).map((seeds) => {
  const layers: (LayerFields & { readonly mode: string })[] = [];
  for (const [index, { parent, writes, repositories: own, clients }] of seeds.entries()) {
    const above = layers[parent];
    const mode = writes && above?.mode !== 'ReadOnly' ? 'ReadWrite' : 'ReadOnly';
    const clientTokens = Array.from({ length: clients }, (_, client) => ({
      name: `client${client}`,
      actions: ['repositories/plant/*/content/read'],
    }));
    const fields = { mode, includeDescendants: true, repositories: own, clientTokens };
    layers.push({ ...layer(`layer${index}`, { ...fields, ...(above && { parent: `layer${parent}` }) }), mode });
  }
  return layers;
});

describe('planHierarchy()', () => {
  it('gives every valid tree documents that settings accept, each layer within the one above, the top within the cloud', async () => {
    const render = await readRenderer({ directory: '.', env: undefined, environment: {} });
    await fc.assert(
      fc.asyncProperty(tree, async (layers) => {
        const hierarchy = hierarchyOf(layers, { deviceRepositories: undefined });
        const planned = await planHierarchy({
          hierarchy,
          state: emptyState,
          passwords: new Map(),
          wishes: readWishes(hierarchy, [], []),
          issue: pretendPassword,
          render,
        });
        if (!planned.ok) throw new Error(JSON.stringify(planned.problems));
        const plan = new Map(planned.plan.layers.map((one) => [one.layer.name, one]));
        expect(plan.size).to.equal(layers.length);
        for (const one of plan.values()) {
          const { parent } = one.layer;
          const settings = settingsOf(one);
          const above = parent === undefined ? undefined : plan.get(parent);
          if (!above) {
            const granted = one.state.cloud?.grants.map((grant) => grant.repository as RepositoryPattern) ?? [];
            for (const rule of settings.repositories) expectWithin(granted, rule.name);
            continue;
          }
          const upper = settingsOf(above);
          const entry = upper.children.find(({ name }) => name === one.layer.name);
          for (const rule of settings.repositories) {
            expectWithin(entry?.repositories ?? [], rule.name);
            expectWithin(
              upper.repositories.map(({ name }) => name),
              rule.name,
            );
          }
          for (const image of hierarchy.deviceRepositories) {
            const name = parseRepositoryName(image)!;
            expect(
              entry?.repositories.some((pattern) => matchesPattern(pattern, name)),
              image,
            ).to.equal(true);
          }
          expect(entry?.mode === 'ReadWrite' && upper.mode === 'ReadOnly').to.equal(false);
          expect(entry?.syncToken.passwords).to.have.length(1);
        }
      }),
      { numRuns: 60 },
    );
  });
});

function settingsOf({ state }: PlannedLayer): Settings {
  const parsed = parseSettings(state.desired);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

function expectWithin(outer: readonly RepositoryPattern[], inner: RepositoryPattern): void {
  expect(
    outer.some((pattern) => coversPattern(pattern, inner)),
    `${inner} within ${outer.join(', ')}`,
  ).to.equal(true);
}
