import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from './twin.ts';

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** IoT Hub's merge rule, which is RFC 7386: null deletes, objects merge, arrays and scalars replace. */
export function applyMergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const merged = new Map<string, Json>(Object.entries(target));
  for (const [key, value] of Object.entries(patch)) {
    const before = merged.get(key);
    if (value === null) merged.delete(key);
    else if (isJsonObject(value)) merged.set(key, applyMergePatch(isJsonObject(before) ? before : {}, value));
    else merged.set(key, value);
  }
  return Object.fromEntries(merged);
}

/** The smallest patch that turns `from` into `to`, or undefined when they are equal. `to` holds no nulls. */
export function createMergePatch(from: JsonObject, to: JsonObject): JsonObject | undefined {
  const patch = new Map<string, Json>();
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) patch.set(key, null);
  for (const [key, value] of Object.entries(to)) {
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    if (isJsonObject(before) && isJsonObject(value)) {
      const inner = createMergePatch(before, value);
      if (inner) patch.set(key, inner);
    } else if (!isDeepStrictEqual(before, value)) patch.set(key, value);
  }
  return patch.size === 0 ? undefined : Object.fromEntries(patch);
}
