import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';
import type { Json, JsonObject } from '../../modules/registry/src/twin/twin.ts';

/** edgeAgent joins `createOptions`, `createOptions01` … `createOptions99`, each of at most 512 characters. */
export const createOptionsLimits = { chunkCharacters: 512, chunks: 100 } as const;

const { chunkCharacters, chunks } = createOptionsLimits;

/** `createOptions`, or `createOptions01` and on. */
export function createOptionsKey(index: number): string {
  return index === 0 ? 'createOptions' : `createOptions${String(index).padStart(2, '0')}`;
}

/** Turns each `createOptions` within a JSON value, object or string, into the strings that edgeAgent joins. */
export function splitCreateOptions(value: Json, problems: Problem[], path = ''): Json {
  if (!isJsonObject(value)) return value;
  const split = Object.hasOwn(value, 'createOptions') ? splitOne(value, problems, path) : value;
  const entries = Object.entries(split).map(([key, inner]) => [
    key,
    splitCreateOptions(inner, problems, `${path}/${key}`),
  ]);
  return Object.fromEntries(entries) as JsonObject;
}

function splitOne(settings: JsonObject, problems: Problem[], path: string): JsonObject {
  const { createOptions, ...rest } = settings;
  if (!isJsonObject(createOptions) && typeof createOptions !== 'string') return settings;
  if (Object.hasOwn(settings, createOptionsKey(1))) return settings;
  const text = typeof createOptions === 'string' ? createOptions : asciiJson(createOptions);
  const count = Math.max(1, Math.ceil(text.length / chunkCharacters));
  if (count > chunks) {
    const message = `must be at most ${chunks * chunkCharacters} characters as JSON, found ${text.length}`;
    problems.push({ path: `${path}/createOptions`, message });
  }
  const pieces = Array.from({ length: count }, (_, index) => [
    createOptionsKey(index),
    text.slice(index * chunkCharacters, (index + 1) * chunkCharacters),
  ]);
  return { ...rest, ...(Object.fromEntries(pieces) as JsonObject) };
}

/** A character outside ASCII is escaped, so that no cut can go through one. */
function asciiJson(value: Json): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** What is wrong with the chunks of a module's `settings` in a manifest: a gap, or not a JSON object when joined. */
export function checkCreateOptions(settings: JsonObject, path: string): readonly Problem[] {
  const keys = Object.keys(settings).filter((key) => key.startsWith('createOptions'));
  const expected = keys.map((_, index) => createOptionsKey(index));
  const missing = expected.find((key) => !keys.includes(key));
  if (missing !== undefined) return [{ path: `${path}/${missing}`, message: 'is missing before a later part' }];
  const parts = expected.map((key) => settings[key]);
  if (!parts.every((part) => typeof part === 'string')) return [];
  const text = parts.join('');
  if (text === '' || isJsonObject(parsed(text))) return [];
  return [{ path: `${path}/createOptions`, message: 'must be, with its parts joined, a JSON object' }];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
