import { Ajv, type ErrorObject } from 'ajv';
import { problemOf } from '../../modules/registry/src/settings/schema-problems.ts';
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
  return (document) => {
    if (validate(document)) return [];
    // A value of the wrong kind is said once, not again for each choice it is not.
    const telling = ({ keyword, data }: ErrorObject): boolean => keyword !== 'enum' || typeof data === 'string';
    return (validate.errors ?? []).filter(telling).map(problemOf);
  };
}
