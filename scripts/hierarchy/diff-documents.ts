import { isJsonObject } from '../../modules/registry/src/twin/merge-patch.ts';
import type { Json, JsonObject } from '../../modules/registry/src/twin/twin.ts';

/** One difference between two desired documents. */
export interface Change {
  readonly kind: 'added' | 'changed' | 'removed';
  /** `/clientTokens/line3/passwords/password2`: entries of lists go by their names. */
  readonly path: string;
  /** Undefined where the path says it all, and for a password. */
  readonly before?: Json;
  readonly after?: Json;
}

/** Every difference, in the order of the documents; a password is named, its hash never shown. */
export function diffDocuments(before: JsonObject, after: JsonObject): Change[] {
  const [old, now] = [new Map(leavesOf(before, '')), new Map(leavesOf(after, ''))];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((path): Change[] => {
    const [was, is] = [old.get(path), now.get(path)];
    if (was?.compared === is?.compared) return [];
    const kind = was ? (is ? 'changed' : 'removed') : 'added';
    const values = {
      ...(was?.shown !== undefined && { before: was.shown }),
      ...(is?.shown !== undefined && { after: is.shown }),
    };
    return [{ kind, path, ...values }];
  });
}

interface Leaf {
  readonly compared: string;
  readonly shown?: Json;
}

function leavesOf(value: Json, path: string): [string, Leaf][] {
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap((item, index) => entry(item, `${path}/`, index));
  if (!isJsonObject(value)) return [[path, { compared: JSON.stringify(value), shown: value }]];
  return Object.entries(value).flatMap(([key, part]): [string, Leaf][] => {
    // A name stands in the path, and a hash tells a reader nothing.
    if (key === 'name') return [[path, { compared: '' }]];
    return key === 'hash' ? [[path, { compared: JSON.stringify(part) }]] : leavesOf(part, `${path}/${key}`);
  });
}

function entry(item: Json, path: string, index: number): [string, Leaf][] {
  if (typeof item === 'string') return [[path + item, { compared: '' }]];
  const name = isJsonObject(item) ? item['name'] : undefined;
  return leavesOf(item, path + (typeof name === 'string' ? name : String(index)));
}
