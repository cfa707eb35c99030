import { Ajv } from 'ajv';
import { expect } from 'chai';
import { build } from 'esbuild';
import fc from 'fast-check';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { directMethods } from '../../../modules/registry/src/direct-methods.ts';
import { ajvOptions } from '../../../modules/registry/src/settings/compile-schema.ts';
import { parseSettings } from '../../../modules/registry/src/settings/parse-settings.ts';
import { schema } from '../../../modules/registry/src/settings/schema.ts';
import { createCheck } from '../../../modules/registry/src/settings/schema-problems.ts';
import { group, wholeNumber } from '../../../modules/registry/src/settings/schema-words.ts';
import { compiledSchemas } from '../../../scripts/build/compiled-schemas.ts';
import { withTemporaryDirectory } from '../../helpers/temporary-directory.ts';
import { changed, fullDocument, placesOf } from '../../settings/full-document.ts';

interface Built {
  readonly parseSettings: typeof parseSettings;
  readonly createCheck: typeof createCheck;
}

const room = new URL('../../../modules/registry/src/settings/', import.meta.url).pathname;

describe('compiledSchemas', () => {
  let built: Built;

  before(() =>
    withTemporaryDirectory(async (directory) => {
      const outfile = join(directory, 'built.mjs');
      await build({
        stdin: {
          contents: `export { parseSettings } from './parse-settings.ts';
            export { createCheck } from './schema-problems.ts';`,
          resolveDir: room,
        },
        bundle: true,
        format: 'esm',
        platform: 'node',
        outfile,
        banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
        plugins: [compiledSchemas],
      });
      built = (await import(pathToFileURL(outfile).href)) as Built;
    }),
  );

  it('reads settings as the sources do, and tells the same problems', () => {
    const places = placesOf(fullDocument());
    const same = (document: unknown): void => {
      expect(built.parseSettings(document)).to.deep.equal(parseSettings(document));
    };
    for (const document of [fullDocument(), {}]) same(document);
    for (const { keys } of places) if (typeof keys.at(-1) === 'string') same(changed({ keys, value: undefined }));
    const value = fc.oneof(fc.jsonValue(), fc.string(), fc.constantFrom('x'.repeat(4097), { strange: 1 }));
    fc.assert(
      fc.property(fc.constantFrom(...places), value, ({ keys }, value) => same(changed({ keys, value }))),
      { numRuns: 300 },
    );
  });

  for (const [name, method] of Object.entries(directMethods)) {
    it(`checks the payload of ${name} as the sources do`, () => {
      for (const payload of [
        {},
        { dryRun: 1 },
        { deep: false, strange: true },
        { timeoutSeconds: 1, instanceId: '' },
      ]) {
        const checks = [built.createCheck(method), createCheck(method)];
        const [ours, theirs] = checks.map((check) => check(structuredClone(payload)));
        expect(ours).to.deep.equal(theirs);
      }
    });
  }

  it('refuses a schema that was not there at build time', () => {
    expect(() => built.createCheck(group({ count: wholeNumber('', 1) }))).to.throw('the build does not know');
  });
});

describe('the schemas', () => {
  it('are JSON Schema, which no start looks at', () => {
    const ajv = new Ajv({ ...ajvOptions, meta: true, validateSchema: true });
    for (const each of [schema, ...Object.values(directMethods)]) ajv.compile(each);
    expect(() => ajv.compile({ type: 'string', maxLength: -1 })).to.throw('schema is invalid');
  });
});
