import { createHmac } from 'node:crypto';

export type Properties = Record<string, unknown>;

function isObject(value: unknown): value is Properties {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** IoT Hub's merge of a patch into a section. */
export function mergeSection(section: Properties, patch: Properties): Properties {
  const merged = { ...section };
  for (const [key, value] of Object.entries(patch)) {
    const before = merged[key];
    if (value === null) Reflect.deleteProperty(merged, key);
    else merged[key] = isObject(value) ? mergeSection(isObject(before) ? before : {}, value) : value;
  }
  return merged;
}

/** The patch of a service-side replace: everything new, null for what is gone. */
export function replacementPatch(before: Properties, after: Properties): Properties {
  const gone = Object.keys(before).filter((key) => !(key in after));
  const inner = Object.entries(after).map(([key, value]) => {
    const old = before[key];
    return [key, isObject(old) && isObject(value) ? replacementPatch(old, value) : value];
  });
  return Object.fromEntries([...gone.map((key) => [key, null]), ...inner]) as Properties;
}

/** Why edgeHub refuses this reported patch, or undefined (edge-hub ReportedPropertiesValidator). */
export function reportedRefusal(patch: unknown): string | undefined {
  if (!isObject(patch)) return 'not an object';
  if (Buffer.byteLength(JSON.stringify(patch)) > 32_768) return 'larger than 32 KB';
  return refusalOf(patch, 0, false);
}

function refusalOf(value: unknown, depth: number, inArray: boolean): string | undefined {
  if (value === null) return inArray ? 'null in an array' : undefined;
  if (typeof value === 'string') return Buffer.byteLength(value) > 4096 ? 'a string is longer than 4 KB' : undefined;
  if (typeof value === 'number') {
    return Number.isInteger(value) && (value > 4503599627370495 || value < -4503599627370496)
      ? 'a number is out of range'
      : undefined;
  }
  if (typeof value !== 'object') return undefined;
  if (depth > 10) return 'deeper than 10 levels';
  if (Array.isArray(value)) return first(value.map((item) => refusalOf(item, depth + 1, true)));
  return first(
    Object.entries(value).map(([key, inner]) => {
      if (Buffer.byteLength(key) > 1024) return 'a key is longer than 1 KB';

      if (/[\u0000-\u001f\u007f-\u009f.$#\s]/.test(key)) return 'a key holds a character that is not allowed';
      return refusalOf(inner, depth + 1, inArray);
    }),
  );
}

function first(refusals: readonly (string | undefined)[]): string | undefined {
  return refusals.find((refusal) => refusal !== undefined);
}

export interface TokenRules {
  readonly hubName: string;
  readonly deviceId: string;
  readonly moduleId: string;
  /** Base64. */
  readonly key: string;
}

/** The end of a good SAS token in milliseconds since 1970, or why it is not one. */
export function checkToken(token: string, rules: TokenRules): { expiresAt: number } | { refusal: string } {
  const [scheme, pairs = ''] = token.split(' ');
  if (scheme !== 'SharedAccessSignature') return { refusal: 'no token' };
  const fields = new Map(
    pairs.split('&').map((pair) => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
  const [resource = '', expiry = '', signature = ''] = ['sr', 'se', 'sig'].map((name) => fields.get(name));
  const expected = `${rules.hubName}/devices/${rules.deviceId}/modules/${rules.moduleId}`;
  if (decodeURIComponent(resource) !== expected) return { refusal: 'wrong audience' };
  const expiresAt = Number(expiry) * 1000;
  if (!(expiresAt > Date.now())) return { refusal: 'expired' };
  const digest = createHmac('sha256', Buffer.from(rules.key, 'base64')).update(`${resource}\n${expiry}`);
  return decodeURIComponent(signature) === digest.digest('base64') ? { expiresAt } : { refusal: 'wrong signature' };
}
