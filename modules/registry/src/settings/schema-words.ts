import type { FormatName } from './formats.ts';
import { limits } from './limits.ts';

/** The part of JSON Schema the settings are written in. */
export interface Schema {
  readonly type: 'string' | 'integer' | 'boolean' | 'array' | 'object' | readonly ['string', 'object'];
  readonly description?: string;
  readonly default?: unknown;
  readonly format?: FormatName;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false;
}

type Rest = Pick<Schema, 'default' | 'format' | 'maximum' | 'maxItems' | 'required'>;

export function text(description: string, rest: Rest = {}): Schema {
  return { type: 'string', minLength: 1, maxLength: limits.textLongest.value, description, ...rest };
}

export function choice(description: string, values: readonly string[], rest: Rest = {}): Schema {
  return { type: 'string', enum: values, description, ...rest };
}

export function flag(description: string, rest: Rest = {}): Schema {
  return { type: 'boolean', description, ...rest };
}

export function wholeNumber(description: string, minimum: number, rest: Rest = {}): Schema {
  return { type: 'integer', minimum, maximum: limits.wholeNumberLargest.value, description, ...rest };
}

export function list(description: string, items: Schema, rest: Rest = {}): Schema {
  return { type: 'array', items, description, ...rest };
}

/** Keys not named here are refused: a typing error must not pass for a default. */
export function group(properties: Readonly<Record<string, Schema>>, rest: Rest = {}): Schema {
  return { type: 'object', properties, additionalProperties: false, ...rest };
}
