import { _, Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import type { Plugin } from 'esbuild';
import { dirname } from 'node:path';
import { directMethods } from '../../modules/registry/src/direct-methods.ts';
import { ajvOptions } from '../../modules/registry/src/settings/compile-schema.ts';
import { schema } from '../../modules/registry/src/settings/schema.ts';

/** Puts the checks of every schema the registry has in place of `settings/compile-schema.ts`, which makes them. */
export const compiledSchemas: Plugin = {
  name: 'compiled schemas',
  setup(build) {
    build.onLoad({ filter: /\/settings\/compile-schema\.ts$/ }, ({ path }) => ({
      contents: compileAll(),
      resolveDir: dirname(path),
    }));
  },
};

function compileAll(): string {
  const ajv = new Ajv({
    ...ajvOptions,
    code: { source: true, esm: true, formats: _`require('./formats.ts').formats` },
  });
  const schemas = [schema, ...Object.values(directMethods)];
  for (const [index, each] of schemas.entries()) ajv.addSchema(each, `check${index}`);
  const names = schemas.map((_each, index) => `check${index}`);
  const rows = schemas.map((each, index) => `[${JSON.stringify(JSON.stringify(each))}, check${index}]`);
  return `${standalone.default(ajv, Object.fromEntries(names.map((name) => [name, name])))}
const checks = new Map([${rows.join(', ')}]);
export function compileSchema(schema) {
  const check = checks.get(JSON.stringify(schema));
  if (!check) throw new Error('the build does not know this schema');
  return check;
}`;
}
