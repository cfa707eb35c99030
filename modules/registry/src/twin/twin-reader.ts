import { isDeepStrictEqual } from 'node:util';
import { readSection, stepDesired, type TwinSection } from './desired-document.ts';
import { applyMergePatch } from './merge-patch.ts';
import type { JsonObject, TwinDocument } from './twin.ts';

export interface TwinReaderOptions {
  /** Both sections as the hub has them now. */
  readonly read: () => Promise<{ readonly desired: unknown; readonly reported: unknown }>;
  readonly onDocument: (document: TwinDocument) => void;
  /** A read that a patch made necessary has failed. */
  readonly onFailure: (error: unknown) => void;
}

/** Our own copy of the twin: the SDK's merges arrays index by index, and misses what came while it was away. */
export interface TwinReader {
  /** False until the hub has a desired section; before that there is nothing to obey. */
  readonly synced: boolean;
  /** Reads the whole twin; rejects when that fails. Concurrent calls share one read that began after each of them. */
  refresh(): Promise<void>;
  /** Takes a raw desired patch. */
  takePatch(patch: JsonObject): void;
  /** Notes a reported patch that the hub has taken. */
  noteReported(patch: JsonObject): void;
}

export function createTwinReader(options: TwinReaderOptions): TwinReader {
  let desired: TwinSection = { version: undefined, properties: {} };
  let reported: JsonObject = {};
  let told: number | undefined;
  let reading: Promise<void> | undefined;
  let again = false;
  const waiting: JsonObject[] = [];

  return {
    get synced() {
      return desired.version !== undefined;
    },
    refresh,
    takePatch(patch) {
      if (reading) waiting.push(patch);
      else if (!apply(patch)) refresh().catch(options.onFailure);
    },
    noteReported(patch) {
      reported = applyMergePatch(reported, patch);
    },
  };

  function refresh(): Promise<void> {
    again = true;
    reading ??= readUntilCurrent().finally(() => (reading = undefined));
    return reading;
  }

  async function readUntilCurrent(): Promise<void> {
    while (again) {
      again = false;
      const sections = await options.read();
      desired = readSection(sections.desired);
      const { properties } = readSection(sections.reported);
      // Only another instance under our name changes what we reported: it may have let go of the activation.
      if (!isDeepStrictEqual(properties, reported)) told = undefined;
      reported = properties;
      tell();
      for (const patch of waiting.splice(0)) if (!apply(patch)) again = true;
    }
  }

  /** False: the patch does not follow on what we hold. */
  function apply(patch: JsonObject): boolean {
    const step = stepDesired(desired, patch);
    if (step.kind === 'next') {
      desired = step;
      tell();
    }
    return step.kind !== 'gap';
  }

  function tell(): void {
    if (desired.version === undefined || desired.version === told) return;
    told = desired.version;
    options.onDocument({ version: desired.version, desired: desired.properties, reported });
  }
}
