import { RegistryError } from '../errors.ts';
import { attributeNames, type Attributes } from '../store/attributes.ts';
import type { Exchange } from './exchange.ts';
import { readBody } from './request-body.ts';

const bodyBytesLimit = 4096;

/**
 * The body of an attribute change: `{"writeEnabled":false}`, or the same under `changeableAttributes`.
 * Throws ATTRIBUTES_INVALID for anything that is not one of the four flags: a misspelt lock must not seem to hold.
 */
export async function readAttributes(exchange: Exchange): Promise<Partial<Attributes>> {
  const body = objectIn((await readBody(exchange, bodyBytesLimit, 'ATTRIBUTES_INVALID')).toString('utf8'));
  const flags = isObject(body['changeableAttributes']) ? body['changeableAttributes'] : body;
  const changes: { -readonly [Name in keyof Attributes]?: boolean } = {};
  for (const [key, value] of Object.entries(flags)) {
    const name = attributeNames.find((known) => known === key);
    if (!name || typeof value !== 'boolean')
      throw new RegistryError('ATTRIBUTES_INVALID', { detail: { [key]: value } });
    changes[name] = value;
  }
  return changes;
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Answered below, like JSON that is no object.
  }
  throw new RegistryError('ATTRIBUTES_INVALID', { message: 'the body must be a JSON object' });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
