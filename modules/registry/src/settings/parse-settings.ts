import { deepFreeze } from './deep-freeze.ts';
import type { DesiredProperties } from './desired-properties.ts';
import { property, root } from './entries.ts';
import type { ConnectionString } from './environment.ts';
import { brokenRules } from './rules.ts';
import { isContinuous } from './schedule.ts';
import { createCheck } from './schema-problems.ts';
import { schema } from './schema.ts';
import type { ParsedSettings, Problem, Settings } from './settings.ts';
import { toSettings } from './to-settings.ts';
import type { Variables } from './variables.ts';

export interface SettingsContext {
  /** Gives the parent what the document does not say. */
  readonly connection?: ConnectionString;
  /** For `$NAME` in the gateway endpoint. */
  readonly variables?: Variables;
}

const check = createCheck<DesiredProperties>(schema);

/**
 * Reads the desired properties: a JSON value, whole. Either settings, frozen, with every default filled in,
 * or every problem there is. Never throws, never changes `document`.
 */
export function parseSettings(document: unknown, context: SettingsContext = {}): ParsedSettings {
  const { connection, variables = {} } = context;
  const copy: unknown = structuredClone(document);
  if (connection && isObject(copy) && !Object.hasOwn(copy, 'parent')) copy['parent'] = {};
  const checked = check(copy);
  const problems = [...(checked.ok ? [] : checked.problems), ...brokenRules(copy, variables)];
  if (!checked.ok || problems.length > 0) return deepFreeze({ ok: false, problems });
  const settings = toSettings(checked.document, connection, variables);
  const warnings = parentWarnings(checked.document, settings);
  return deepFreeze({ ok: true, settings, warnings });
}

/** Settings that are valid but cancel each other out. */
function parentWarnings(document: DesiredProperties, settings: Settings): Problem[] {
  if (document.parent && !settings.parent) {
    const message = 'has no effect: neither gatewayEndpoint nor a connection string names the parent';
    return [{ path: '/parent', message }];
  }
  const window = property(property(property(root(document), 'parent'), 'syncProperties'), 'syncWindow');
  if (window.value === undefined || !isContinuous(document.parent?.syncProperties.schedule ?? '')) return [];
  return [{ path: window.path, message: 'has no effect: the schedule * * * * * is continuous' }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
