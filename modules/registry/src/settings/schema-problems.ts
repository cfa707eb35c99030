import type { ErrorObject } from 'ajv';
import { compileSchema } from './compile-schema.ts';
import { formats, type FormatName } from './formats.ts';
import type { Schema } from './schema-words.ts';
import type { Problem } from './settings.ts';

export type Checked<Document> =
  { readonly ok: true; readonly document: Document } | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * A check against `schema`, which fills the schema's defaults into the document it is given. A problem names the path,
 * the kind of value and the rule, and never quotes a value.
 */
export function createCheck<Document>(schema: Schema): (document: unknown) => Checked<Document> {
  const validate = compileSchema<Document>(schema);
  return (document) => {
    if (validate(document)) return { ok: true, document };
    return { ok: false, problems: problemsOf(validate.errors) };
  };
}

/** What ajv found, with `verbose`, in our words. A value of the wrong kind is said once, not again for each choice it is not. */
export function problemsOf(errors: readonly ErrorObject[] | null | undefined): Problem[] {
  const telling = (errors ?? []).filter(({ keyword, data }) => keyword !== 'enum' || typeof data === 'string');
  return telling.map(problemOf);
}

function problemOf(error: ErrorObject): Problem {
  const { instancePath, keyword, data } = error;
  const params = error.params as Record<string, unknown>;
  switch (keyword) {
    case 'additionalProperties':
      return { path: `${instancePath}/${escape(params['additionalProperty'])}`, message: unknownKey(error) };
    case 'required':
      return { path: `${instancePath}/${escape(params['missingProperty'])}`, message: 'is required' };
    default:
      return { path: instancePath, message: ruleOf(keyword, params, data) };
  }
}

function ruleOf(keyword: string, params: Record<string, unknown>, data: unknown): string {
  const limit = String(params['limit']);
  switch (keyword) {
    case 'type':
      return `must be ${kindsOf(params['type'])}, found ${kindOf(data)}`;
    case 'format':
      return `must be ${formats[params['format'] as FormatName].rule}`;
    case 'enum':
      return `must be one of ${(params['allowedValues'] as string[]).join(', ')}`;
    case 'minimum':
      return `must be a number of at least ${limit}`;
    case 'maximum':
      return `must be a number of at most ${limit}`;
    case 'minLength':
      return 'must be a string that is not empty';
    case 'maxLength':
      return `must be a string of at most ${limit} characters`;
    case 'maxItems':
      return `must be a list of at most ${limit}`;
    default:
      return `breaks the rule ${keyword}`;
  }
}

const kinds: Readonly<Record<string, string>> = {
  string: 'a string',
  object: 'an object',
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
};

function kindsOf(types: unknown): string {
  return [types]
    .flat()
    .map((type) => kinds[String(type)] ?? String(type))
    .join(' or ');
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'number' ? 'a number' : (kinds[typeof value] ?? typeof value);
}

function unknownKey(error: ErrorObject): string {
  const known = Object.keys((error.parentSchema as { properties?: object } | undefined)?.properties ?? {});
  return `is not known here; known: ${known.join(', ') || 'nothing'}`;
}

/** RFC 6901. */
function escape(key: unknown): string {
  return String(key).replaceAll('~', '~0').replaceAll('/', '~1');
}
