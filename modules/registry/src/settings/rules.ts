import { coversPattern, parseRepositoryPattern } from '../oci/pattern.ts';
import { isEndpoint } from './endpoint.ts';
import { entriesOf, nameOf, property, root, textOf, type Entry } from './entries.ts';
import { formats } from './formats.ts';
import { limits } from './limits.ts';
import { parsePermission } from './permission.ts';
import { isContinuous } from './schedule.ts';
import type { Problem } from './settings.ts';
import { replaceVariables, type Variables } from './variables.ts';

/** The rules that JSON Schema cannot say, each over whatever of the document can be read. */
export function brokenRules(document: unknown, variables: Variables): Problem[] {
  const settings = root(document);
  return [
    ...gatewayEndpoint(settings, variables),
    ...syncWindow(settings),
    ...uniqueNames(settings),
    ...clientTokenCount(settings),
    ...knownScopeMaps(settings),
    ...permissionCount(settings),
    ...childModes(settings),
    ...childRepositories(settings),
    ...budgetTimes(settings),
  ];
}

function gatewayEndpoint(settings: Entry, variables: Variables): Problem[] {
  const endpoint = property(property(settings, 'parent'), 'gatewayEndpoint');
  const text = textOf(endpoint);
  if (text === undefined || !formats.endpoint.validate(text)) return [];
  const replaced = replaceVariables(text, variables);
  if (!replaced.ok) return replaced.missing.map((name) => at(endpoint, `environment variable ${name} is not set`));
  return isEndpoint(replaced.text) ? [] : [at(endpoint, `with its variables replaced, must be host[:port]`)];
}

function syncWindow(settings: Entry): Problem[] {
  const properties = property(property(settings, 'parent'), 'syncProperties');
  const schedule = textOf(property(properties, 'schedule'));
  const window = property(properties, 'syncWindow');
  if (schedule === undefined || isContinuous(schedule) || window.value !== undefined) return [];
  return [at(window, 'is required with any schedule but * * * * *')];
}

function uniqueNames(settings: Entry): Problem[] {
  const clientTokens = entriesOf(settings, 'clientTokens');
  const syncTokens = entriesOf(settings, 'children').map((child) => property(child, 'syncToken'));
  // Names of registries differ by more than case, as in ACR.
  const lowerCase = (name: string): string => name.toLowerCase();
  return [
    ...repeated(entriesOf(settings, 'repositories')),
    ...repeated(entriesOf(settings, 'scopeMaps')),
    ...repeated(entriesOf(settings, 'children'), lowerCase),
    // Both log in with a user name.
    ...repeated([...clientTokens, ...syncTokens]),
    ...[...clientTokens, ...syncTokens].flatMap((token) => repeated(entriesOf(token, 'passwords'))),
  ];
}

function repeated(entries: readonly Entry[], normalize = (name: string): string => name): Problem[] {
  const first = new Map<string, string>();
  return entries.flatMap((entry) => {
    const name = nameOf(entry);
    if (name === undefined) return [];
    const earlier = first.get(normalize(name));
    if (earlier === undefined) first.set(normalize(name), entry.path);
    const where = typeof entry.value === 'string' ? entry : property(entry, 'name');
    return earlier === undefined ? [] : [at(where, `must be a name of its own; ${earlier} has it already`)];
  });
}

function clientTokenCount(settings: Entry): Problem[] {
  const raised = property(property(settings, 'limits'), 'clientTokens').value;
  const limit = typeof raised === 'number' ? raised : limits.clientTokens.value;
  const most = Math.min(limit, limits.clientTokensRaised.value);
  if (entriesOf(settings, 'clientTokens').length <= most) return [];
  const advice = `limits.clientTokens raises it up to ${limits.clientTokensRaised.value}`;
  return [at(property(settings, 'clientTokens'), `must be a list of at most ${most} client tokens; ${advice}`)];
}

function knownScopeMaps(settings: Entry): Problem[] {
  const known = new Set(entriesOf(settings, 'scopeMaps').map(nameOf));
  return entriesOf(settings, 'clientTokens')
    .map((token) => property(token, 'scopeMap'))
    .filter((scopeMap) => textOf(scopeMap) !== undefined && !known.has(textOf(scopeMap)))
    .map((scopeMap) => at(scopeMap, 'must be the name of a scope map under scopeMaps'));
}

function permissionCount(settings: Entry): Problem[] {
  const most = limits.repositoryPermissions.value;
  return entriesOf(settings, 'scopeMaps')
    .filter((scopeMap) => entriesOf(scopeMap, 'actions').filter(isOnRepository).length > most)
    .map((scopeMap) => at(property(scopeMap, 'actions'), `must hold at most ${most} repository permissions`));
}

function isOnRepository(action: Entry): boolean {
  return parsePermission(textOf(action) ?? '')?.kind === 'repository';
}

function childModes(settings: Entry): Problem[] {
  if (property(settings, 'mode').value !== 'ReadOnly') return [];
  return entriesOf(settings, 'children')
    .map((child) => property(child, 'mode'))
    .filter((mode) => mode.value === 'ReadWrite')
    .map((mode) => at(mode, 'must be ReadOnly: a ReadOnly registry accepts only ReadOnly children'));
}

function childRepositories(settings: Entry): Problem[] {
  const ours = entriesOf(settings, 'repositories').flatMap(
    (entry) => parseRepositoryPattern(nameOf(entry) ?? '') ?? [],
  );
  if (ours.length === 0) return [];
  return entriesOf(settings, 'children')
    .flatMap((child) => entriesOf(child, 'repositories'))
    .filter((entry) => {
      const wanted = parseRepositoryPattern(textOf(entry) ?? '');
      return wanted && !ours.some((pattern) => coversPattern(pattern, wanted));
    })
    .map((entry) => at(entry, 'must be within the repositories of this registry'));
}

function budgetTimes(settings: Entry): Problem[] {
  return entriesOf(property(settings, 'transfer'), 'budgets')
    .filter((budget) => {
      const from = textOf(property(budget, 'from'));
      return from !== undefined && from === textOf(property(budget, 'to'));
    })
    .map((budget) => at(property(budget, 'to'), 'must be another time than from'));
}

function at(entry: Entry, message: string): Problem {
  return { path: entry.path, message };
}
