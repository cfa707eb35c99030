import { Ajv, type Options, type ValidateFunction } from 'ajv';
import { formats } from './formats.ts';
import type { Schema } from './schema-words.ts';

/** Schemas are ours and no user's: a test holds them against JSON Schema, not every start. */
export const ajvOptions = {
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  useDefaults: true,
  verbose: true,
  meta: false,
  validateSchema: false,
  formats,
} satisfies Options;

const ajv = new Ajv(ajvOptions);

/**
 * The check of `schema`. The build puts checks that it compiled beforehand in this file's place
 * (`scripts/build/compiled-schemas.ts`): to load ajv and to compile takes a quarter of the start.
 */
export function compileSchema<Document>(schema: Schema): ValidateFunction<Document> {
  return ajv.compile<Document>(schema);
}
