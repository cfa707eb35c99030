import PQueue from 'p-queue';
import { decideActivation } from './settings/activation.ts';
import { parseSettings } from './settings/parse-settings.ts';
import type { ConnectionString } from './settings/environment.ts';
import type { Problem, Settings } from './settings/settings.ts';
import type { Clock } from './status/clock.ts';
import type { Log } from './status/log.ts';
import type { Records } from './store/store.ts';
import { isJsonObject } from './twin/merge-patch.ts';
import type { Json, JsonObject, TwinDocument } from './twin/twin.ts';

/** What is in force, and what became of the newest document. */
export interface Course {
  readonly settings: Settings;
  readonly warnings: readonly Problem[];
  readonly activation: Activation;
  /** No good document has come yet: the settings are the defaults. */
  readonly isDefault: boolean;
  /** The newest desired document seen: its version, and why it was refused if it was. */
  readonly newest: { readonly version: number; readonly problems: readonly Problem[] };
}

export interface Activation {
  /** `held`: another instance is active under this name. */
  readonly state: 'active' | 'inactive' | 'held';
  readonly since: Date;
  /** While held: the other instance's entry in the reported properties. It is the lock, and stays as it is. */
  readonly holder?: Json;
}

export interface Steering {
  readonly course: Course;
  /** Takes a whole desired document. A refused one changes nothing but `newest`. */
  accept(document: TwinDocument): Promise<void>;
  /**
   * Gives the name up at once (the direct method), until a newer document says `activation.status: Active` itself.
   * False: another instance holds it, and there is nothing to give up.
   */
  deactivate(): Promise<boolean>;
  /** A document that could not even be read (a settings file with a syntax error). */
  refuse(problem: Problem): void;
}

export interface SteeringOptions {
  readonly records: Records;
  readonly instanceId: string;
  readonly connection: ConnectionString | undefined;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called after every change of course, and once before this function resolves. */
  readonly onCourse: (course: Course) => void;
}

interface LastGood {
  readonly version: number;
  readonly desired: JsonObject;
  readonly activation: { readonly state: Activation['state']; readonly since: string };
}

/** What the direct method left behind. */
interface Deactivated {
  /** Of the newest document at that time. */
  readonly version: number;
  readonly since: string;
}

const recordKey = 'last-good-settings';
const deactivatedKey = 'deactivated';

/**
 * Turns desired documents into settings in force. The last good one is kept in the store and is in force again
 * after a restart, hub or no hub; a rejected document never replaces it.
 */
export async function createSteering(options: SteeringOptions): Promise<Steering> {
  const { records, instanceId, connection, variables, clock, log, onCourse } = options;
  const parse = (document: unknown) => parseSettings(document, { ...(connection && { connection }), variables });

  let deactivated = (await records.get(deactivatedKey)) as Deactivated | undefined;
  let course = await resume();
  onCourse(course);
  /** One document at a time, in the order they came. */
  const turns = new PQueue({ concurrency: 1 });

  return {
    get course() {
      return course;
    },

    accept: (document) => turns.add(() => take(document)),
    deactivate: () => turns.add(giveUp),

    refuse(problem) {
      log.error(`settings rejected: ${problem.path} ${problem.message}`);
      course = { ...course, newest: { version: course.newest.version, problems: [problem] } };
      onCourse(course);
    },
  };

  async function take(document: TwinDocument): Promise<void> {
    const parsed = parse(document.desired);
    if (deactivated && parsed.ok && document.version !== deactivated.version && saysActive(document.desired)) {
      await records.delete(deactivatedKey);
      deactivated = undefined;
    }
    const decision = decideActivation({
      desired: deactivated ? 'Inactive' : (parsed.ok ? parsed.settings : course.settings).activation.status,
      reported: document.reported['activation'],
      instanceId,
    });
    if (decision.state === 'held' && course.activation.state !== 'held') {
      log.error('another instance is active under this name: writes and sync stop until it is deactivated', {
        code: 'ALREADY_ACTIVATED',
        instance: decision.by,
      });
    }
    const since = decision.state === course.activation.state ? course.activation.since : clock.now();
    const holder = document.reported['activation'];
    const activation = { state: decision.state, since, ...(decision.state === 'held' && holder && { holder }) };
    const problems = parsed.ok ? [] : parsed.problems;
    const { settings, warnings } = parsed.ok ? parsed : course;
    if (parsed.ok) {
      const lastGood: LastGood = {
        version: document.version,
        desired: document.desired,
        activation: { state: activation.state, since: since.toISOString() },
      };
      await records.put(recordKey, lastGood);
      for (const warning of warnings) log.warn(`setting ${warning.path}: ${warning.message}`);
      log.info('settings applied', { version: document.version, mode: settings.mode });
    } else {
      for (const problem of problems) log.error(`settings rejected: ${problem.path} ${problem.message}`);
      log.warn('the last good settings stay in force', { rejectedVersion: document.version });
    }
    const isDefault = course.isDefault && !parsed.ok;
    course = { settings, warnings, activation, isDefault, newest: { version: document.version, problems } };
    onCourse(course);
  }

  async function giveUp(): Promise<boolean> {
    if (course.activation.state === 'held') return false;
    if (course.activation.state === 'inactive') return true;
    const since = clock.now();
    deactivated = { version: course.newest.version, since: since.toISOString() };
    await records.put(deactivatedKey, deactivated);
    log.warn('deactivated by direct method', { since: deactivated.since });
    course = { ...course, activation: { state: 'inactive', since } };
    onCourse(course);
    return true;
  }

  async function resume(): Promise<Course> {
    const stored = (await records.get(recordKey)) as LastGood | undefined;
    const parsed = parse(stored?.desired ?? {});
    if (stored && parsed.ok) {
      log.info('last good settings in force until the twin is read', { version: stored.version });
      const { state, since } = deactivated ? { state: 'inactive' as const, ...deactivated } : stored.activation;
      return {
        settings: parsed.settings,
        warnings: parsed.warnings,
        activation: { state, since: new Date(since) },
        isDefault: false,
        newest: { version: stored.version, problems: [] },
      };
    }
    if (!parsed.ok) for (const { path, message } of parsed.problems) log.error(`stored settings: ${path} ${message}`);
    const defaults = parse({});
    if (!defaults.ok) throw new Error('the empty settings document must be valid');
    return {
      settings: defaults.settings,
      warnings: [],
      activation: { state: deactivated ? 'inactive' : 'active', since: clock.now() },
      isDefault: true,
      newest: { version: 0, problems: [] },
    };
  }
}

/** Not merely by default. */
function saysActive({ activation }: JsonObject): boolean {
  return isJsonObject(activation) && activation['status'] === 'Active';
}
