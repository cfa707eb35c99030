import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Json } from '../../modules/registry/src/twin/twin.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';

/** What stands between `${` and `}` to its text, or a sentence about why there is none. */
export type Lookup = (expression: string) => { readonly text: string } | { readonly problem: string };

const placeholder = /\$\{([^{}]*)\}/g;

/**
 * Replaces every `${…}` in the strings of a JSON value, so that no text can break out of its string.
 * Names without braces (`$upstream`, `$edgeHub`, `$IOTEDGE_PARENTHOSTNAME`) are left to IoT Edge and the module.
 */
export function expandPlaceholders(value: Json, lookup: Lookup, problems: Problem[], path = ''): Json {
  if (typeof value === 'string') return expandText(value, lookup, problems, path);
  if (isJsonObject(value)) {
    const entries = Object.entries(value).map(([key, inner]) => {
      const place = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (key.includes('${'))
        problems.push({ path: place, message: 'must be a key without ${…}; only values have them' });
      return [key, expandPlaceholders(inner, lookup, problems, place)] as const;
    });
    return Object.fromEntries(entries);
  }
  if (Array.isArray(value)) {
    const items: readonly Json[] = value;
    return items.map((item, index) => expandPlaceholders(item, lookup, problems, `${path}/${index}`));
  }
  return value;
}

export function expandText(text: string, lookup: Lookup, problems: Problem[], path: string): string {
  return text.replace(placeholder, (whole, expression: string) => {
    const found = lookup(expression);
    if ('text' in found) return found.text;
    problems.push({ path, message: found.problem });
    return whole;
  });
}

/** Every expression between `${` and `}` in a text. */
export function expressionsIn(text: string): readonly string[] {
  return [...text.matchAll(placeholder)].map(([, expression = '']) => expression);
}

export function isVariableName(expression: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(expression);
}
