import { applyMergePatch, isJsonObject } from './merge-patch.ts';
import type { JsonObject } from './twin.ts';

/** One section of the twin, its `$version` apart. An edgeHub that never reached the cloud sends none. */
export interface TwinSection {
  readonly version: number | undefined;
  readonly properties: JsonObject;
}

/** Copies a section out of what the SDK handed over; `$…` fields are not properties. */
export function readSection(value: unknown): TwinSection {
  const section: unknown = JSON.parse(JSON.stringify(value ?? {}));
  if (!isJsonObject(section)) return { version: undefined, properties: {} };
  return { version: versionOf(section), properties: withoutMetadata(section) };
}

export type DesiredStep =
  | { readonly kind: 'next'; readonly version: number; readonly properties: JsonObject }
  /** Contained in what we have already. */
  | { readonly kind: 'known' }
  /** Something before this patch was missed: read the whole twin. */
  | { readonly kind: 'gap' };

/** What a desired patch does to the section we hold (IoT Hub, "Device reconnection flow"). */
export function stepDesired(held: TwinSection, patch: JsonObject): DesiredStep {
  const version = versionOf(patch);
  if (version === undefined) return { kind: 'known' };
  if (held.version === undefined || version > held.version + 1) return { kind: 'gap' };
  if (version <= held.version) return { kind: 'known' };
  return { kind: 'next', version, properties: applyMergePatch(held.properties, withoutMetadata(patch)) };
}

function versionOf(section: JsonObject): number | undefined {
  const version = section['$version'];
  return typeof version === 'number' ? version : undefined;
}

function withoutMetadata(section: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(section).filter(([key]) => !key.startsWith('$')));
}
