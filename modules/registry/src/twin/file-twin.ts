import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import PQueue from 'p-queue';
import type { Problem } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import { readIfThere } from '../status/read-if-there.ts';
import { createListeners } from './listeners.ts';
import { applyMergePatch, isJsonObject } from './merge-patch.ts';
import { createMethods } from './methods.ts';
import { messageOf } from './twin-error.ts';
import type { Json, JsonObject, MethodResult, Twin, TwinDocument } from './twin.ts';

export interface FileTwinOptions {
  /** The desired properties. */
  readonly settingsFile: string;
  /** Nobody promised that there is a settings file: none is no problem. */
  readonly mayBeMissing?: boolean;
  /** The reported properties, written here. */
  readonly reportedFile: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly parse: (text: string) => { ok: true; value: unknown } | { ok: false; message: string };
  /** Between two looks at the file; 1 second when absent. */
  readonly intervalMs?: number;
}

/** What one look at the settings file showed. */
type Sight = { readonly text: string } | { readonly failure: string };

const missing: Sight = { failure: 'there is no settings file yet' };

/** A twin without a hub: one file is the desired section, another one the reported section. */
export interface FileTwin extends Twin {
  /** A settings file that is missing or cannot be read as JSON. Set before `start`. */
  onProblem(listener: (problem: Problem) => void): void;
  /** Calls a direct method, as the hub would; never rejects. */
  invoke(name: string, payload: Json): Promise<MethodResult>;
}

/**
 * Looks at the settings file every `intervalMs`: that sees every kind of save (in place, by rename), on every kind of
 * mount, where file system events do not. `version` counts the documents of this process. `send` has nobody to send
 * to and resolves.
 */
export function createFileTwin(options: FileTwinOptions): FileTwin {
  const { settingsFile, reportedFile, clock, log, parse, intervalMs = 1_000 } = options;
  const methods = createMethods(log);
  const desired = createListeners<TwinDocument>(log);
  const problems = createListeners<Problem>(log);
  const stop = new AbortController();
  let running: Promise<void> | undefined;
  const writes = new PQueue({ concurrency: 1 });
  let reported: Promise<JsonObject> | undefined;
  let version = 0;
  let seen: Sight | undefined;
  /** The sight that was told last. */
  let told: Sight | undefined;

  return {
    onDesired: desired.add,
    onProblem: problems.add,
    onMethod: (name, handler) => methods.set(name, handler),
    invoke: (name, payload) => methods.call(name, payload),
    start: () => void (running ??= run()),
    send: () => Promise.resolve(),

    report: (patch) => writes.add(() => write(patch)),

    async close() {
      stop.abort();
      await running;
      await writes.onIdle();
    },
  };

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await look();
      await clock.wait(intervalMs, stop.signal).catch(() => undefined);
    }
  }

  async function look(): Promise<void> {
    const sight = await readSettings();
    if (sight === missing && options.mayBeMissing) return;
    const steady = told === undefined || isDeepStrictEqual(sight, seen);
    seen = sight;
    if (isDeepStrictEqual(sight, told)) return;
    const checked = check(sight);
    if (checked.ok) {
      told = sight;
      version++;
      desired.tell({ version, desired: checked.desired, reported: await readReported() });
      // Editors write in pieces, and remove before they rename: only what two looks agree on is a problem.
    } else if (steady) {
      told = sight;
      problems.tell({ path: '', message: `${settingsFile}: ${checked.message}` });
    }
  }

  async function readSettings(): Promise<Sight> {
    try {
      const text = await readIfThere(settingsFile);
      return text === undefined ? missing : { text };
    } catch (error) {
      return { failure: messageOf(error) };
    }
  }

  function check(sight: Sight): { ok: true; desired: JsonObject } | { ok: false; message: string } {
    if ('failure' in sight) return { ok: false, message: sight.failure };
    const parsed = parse(sight.text);
    if (!parsed.ok) return parsed;
    return isJsonObject(parsed.value)
      ? { ok: true, desired: parsed.value }
      : { ok: false, message: 'must be a JSON object' };
  }

  function readReported(): Promise<JsonObject> {
    reported ??= readLastReported();
    return reported;
  }

  async function readLastReported(): Promise<JsonObject> {
    try {
      const text = await readIfThere(reportedFile);
      const parsed = text === undefined ? { ok: true as const, value: {} } : parse(text);
      if (parsed.ok && isJsonObject(parsed.value)) return parsed.value;
    } catch {
      // Said below.
    }
    log.warn('the reported properties of the last run cannot be read; starting afresh', { file: reportedFile });
    return {};
  }

  async function write(patch: JsonObject): Promise<void> {
    const merged = applyMergePatch(await readReported(), patch);
    const temporary = `${reportedFile}.${randomUUID()}`;
    try {
      await writeFile(temporary, `${JSON.stringify(merged, undefined, 2)}\n`);
      await rename(temporary, reportedFile);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    reported = Promise.resolve(merged);
  }
}
