import { RegistryError } from '../errors.ts';
import type { Exchange } from './exchange.ts';
import { readBody } from './request-body.ts';

/** Below nginx's default, with room for a thousand repositories. */
const bodyBytesLimit = 512 * 1024;
const textLongest = 100;

/** The JSON object a child sends. Throws GATEWAY_INVALID. */
export async function readGatewayBody(exchange: Exchange): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readBody(exchange, bodyBytesLimit, 'GATEWAY_INVALID');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    // Refused below, like JSON that is no object.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RegistryError('GATEWAY_INVALID', { message: 'the body must be a JSON object' });
  }
  return value as Record<string, unknown>;
}

export function textIn(body: Readonly<Record<string, unknown>>, field: string): string {
  const value = body[field];
  if (typeof value === 'string' && value !== '' && value.length <= textLongest) return value;
  throw refuseField(field, value, `must be a text of 1 to ${textLongest} characters`);
}

export function refuseField(field: string, value: unknown, rule: string): RegistryError {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value;
  return new RegistryError('GATEWAY_INVALID', { message: `${field} ${rule}, not ${kind}`, detail: { field } });
}
