import { Ajv } from 'ajv';
import { problemsOf } from '../../modules/registry/src/settings/schema-problems.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';

const ajv = new Ajv({
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  allowMatchingProperties: true,
  verbose: true,
});

/** A check against a JSON Schema, in the words the settings' check has. Problems never quote a value. */
export function schemaProblems(schema: object): (document: unknown) => readonly Problem[] {
  const validate = ajv.compile(schema);
  return (document) => (validate(document) ? [] : problemsOf(validate.errors));
}
