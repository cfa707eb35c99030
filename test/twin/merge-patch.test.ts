import { expect } from 'chai';
import fc from 'fast-check';
import { applyMergePatch, createMergePatch } from '../../modules/registry/src/twin/merge-patch.ts';
import type { Json, JsonObject } from '../../modules/registry/src/twin/twin.ts';

/** Documents without nulls, which a twin cannot hold; few keys, so that two documents have some in common. */
const { document } = fc.letrec<{ value: Json; document: JsonObject }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.boolean(),
    fc.integer(),
    fc.string({ maxLength: 3 }),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('document'),
  ),
  document: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor'), tie('value'), {
    noNullPrototype: true,
  }),
}));

describe('applyMergePatch()', () => {
  it('deletes for null, merges objects, replaces the rest', () => {
    const target = { keep: 1, gone: 2, list: [1, 2, 3], inner: { x: 1, y: 2 }, scalar: 1 };
    const patch = { gone: null, list: [9], inner: { y: null, z: 3 }, scalar: { deep: { a: null, b: 1 } } };
    expect(applyMergePatch(target, patch)).to.deep.equal({
      keep: 1,
      list: [9],
      inner: { x: 1, z: 3 },
      scalar: { deep: { b: 1 } },
    });
  });

  it('leaves its arguments alone', () => {
    const target = Object.freeze({ inner: Object.freeze({ x: 1 }) });
    applyMergePatch(target, { inner: { x: 2 } });
    expect(target).to.deep.equal({ inner: { x: 1 } });
  });
});

describe('createMergePatch()', () => {
  it('turns any document into any other', () =>
    fc.assert(
      fc.property(document, document, (from, to) => {
        expect(JSON.parse(JSON.stringify(applyMergePatch(from, createMergePatch(from, to) ?? {})))).to.deep.equal(
          JSON.parse(JSON.stringify(to)),
        );
      }),
    ));

  it('is undefined for equal documents', () =>
    fc.assert(
      fc.property(document, (same) => {
        expect(createMergePatch(same, structuredClone(same))).to.equal(undefined);
      }),
    ));

  it('says only what differs', () => {
    const from = { a: 1, o: { x: 1, y: 2 }, l: [1, 2] };
    expect(createMergePatch(from, { a: 1, o: { x: 1, z: 3 }, l: [1] })).to.deep.equal({
      o: { y: null, z: 3 },
      l: [1],
    });
  });
});
