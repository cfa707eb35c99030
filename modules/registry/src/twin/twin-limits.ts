import type { Problem } from '../settings/settings.ts';
import { isJsonObject } from './merge-patch.ts';
import type { Json, JsonObject } from './twin.ts';

/** Limits of one twin section (IoT Hub, "Device twins"; edgeHub ReportedPropertiesValidator): the stricter of both. */
export const twinLimits = {
  sectionBytes: 32 * 1024,
  keyBytes: 1024,
  stringBytes: 4 * 1024,
  depth: 10,
  smallestInteger: -(2 ** 52),
  largestInteger: 2 ** 52 - 1,
} as const;

const keyRule = `must be a key of at most ${twinLimits.keyBytes} bytes without control characters, white space, ".", "$" and "#"`;
const numberRule = `must be a number, and a whole one from ${twinLimits.smallestInteger} to ${twinLimits.largestInteger}`;

export interface FittedDocument {
  readonly document: JsonObject;
  /** What was shortened or left out: the rule it breaks. Empty: the document was within the limits. */
  readonly problems: readonly Problem[];
}

/** Every way in which `document` breaks the twin's limits; nothing is cut. */
export function checkTwinLimits(document: JsonObject): readonly Problem[] {
  const problems: Problem[] = [];
  fitObject(document, '', 0, problems);
  const sizeBytes = sizeBytesOf(document);
  if (sizeBytes <= twinLimits.sectionBytes) return problems;
  return [
    { path: '', message: `must be at most ${twinLimits.sectionBytes} bytes as JSON, found ${sizeBytes}` },
    ...problems,
  ];
}

/**
 * The largest part of `document` that the twin can hold: long strings cut, what cannot be shown left out, and where
 * the whole is too big, the biggest lists shortened first. Nulls mean "absent" in a twin and go without a word.
 */
export function fitTwinLimits(document: JsonObject): FittedDocument {
  const problems: Problem[] = [];
  let fitted = fitObject(document, '', 0, problems);
  while (sizeBytesOf(fitted) > twinLimits.sectionBytes) fitted = shorten(fitted, problems);
  return { document: fitted, problems };
}

export function sizeBytesOf(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function fitObject(object: JsonObject, path: string, depth: number, problems: Problem[]): JsonObject {
  const entries: [string, Json][] = [];
  for (const [key, value] of Object.entries(object)) {
    const place = path + pointer([key]);
    if (!isTwinKey(key)) problems.push({ path: place, message: keyRule });
    else {
      const fitted = fitValue(value, place, depth + 1, problems);
      if (fitted !== undefined) entries.push([key, fitted]);
    }
  }
  return Object.fromEntries(entries);
}

/** Undefined: leave it out. */
function fitValue(value: Json, path: string, depth: number, problems: Problem[]): Json | undefined {
  if (value === null || typeof value === 'boolean') return value ?? undefined;
  if (typeof value === 'string') return fitString(value, path, problems);
  if (typeof value === 'number') {
    if (isTwinNumber(value)) return value;
    problems.push({ path, message: numberRule });
    return undefined;
  }
  if (depth > twinLimits.depth) {
    problems.push({ path, message: `must not be deeper than ${twinLimits.depth} levels` });
    return undefined;
  }
  if (isJsonObject(value)) return fitObject(value, path, depth, problems);
  return value.flatMap((item, index) => {
    const fitted = fitValue(item, `${path}/${index}`, depth + 1, problems);
    return fitted === undefined ? [] : [fitted];
  });
}

function fitString(text: string, path: string, problems: Problem[]): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= twinLimits.stringBytes) return text;
  problems.push({ path, message: `must be at most ${twinLimits.stringBytes} bytes, found ${bytes.length}` });
  const mark = '…';
  const kept = bytes.subarray(0, twinLimits.stringBytes - Buffer.byteLength(mark));
  // A character cut in half decodes to the replacement character, or to nothing in stream mode.
  return new TextDecoder().decode(kept, { stream: true }) + mark;
}

function isTwinKey(key: string): boolean {
  return Buffer.byteLength(key) <= twinLimits.keyBytes && !/[\p{Cc}\s.$#]/u.test(key);
}

function isTwinNumber(value: number): boolean {
  if (!Number.isFinite(value)) return false;
  return !Number.isInteger(value) || (value >= twinLimits.smallestInteger && value <= twinLimits.largestInteger);
}

/** One step smaller: the biggest list loses its second half, or, where no list is left, the biggest property goes. */
function shorten(document: JsonObject, problems: Problem[]): JsonObject {
  const list = biggestList(document);
  if (list) {
    const kept = Math.floor(list.items.length / 2);
    problems.push({ path: pointer(list.keys), message: `shortened from ${list.items.length} to ${kept} entries` });
    return replaceAt(document, list.keys, list.items.slice(0, kept));
  }
  const [biggest] = Object.entries(document).sort(([, a], [, b]) => sizeBytesOf(b) - sizeBytesOf(a));
  if (!biggest) return document;
  problems.push({ path: pointer([biggest[0]]), message: 'left out: the section is full' });
  return Object.fromEntries(Object.entries(document).filter(([key]) => key !== biggest[0]));
}

interface FoundList {
  readonly keys: readonly string[];
  readonly items: readonly Json[];
  readonly sizeBytes: number;
}

function biggestList(object: JsonObject, keys: readonly string[] = []): FoundList | undefined {
  const found = Object.entries(object).flatMap(([key, value]): FoundList[] => {
    const place = [...keys, key];
    if (isJsonObject(value)) return [biggestList(value, place)].filter((list) => list !== undefined);
    if (!Array.isArray(value) || value.length === 0) return [];
    return [{ keys: place, items: value, sizeBytes: sizeBytesOf(value) }];
  });
  return found.sort((a, b) => b.sizeBytes - a.sizeBytes)[0];
}

function replaceAt(object: JsonObject, keys: readonly string[], value: Json): JsonObject {
  const [key = '', ...rest] = keys;
  const before = object[key];
  const after = rest.length > 0 && isJsonObject(before) ? replaceAt(before, rest, value) : value;
  return Object.fromEntries(Object.entries(object).map(([name, old]) => [name, name === key ? after : old]));
}

function pointer(keys: readonly string[]): string {
  return keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
