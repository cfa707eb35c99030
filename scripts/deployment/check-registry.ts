import { environmentTable } from '../../modules/registry/src/settings/environment-table.ts';
import type { ConnectionString } from '../../modules/registry/src/settings/environment.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import { readEnvironment } from '../../modules/registry/src/settings/read-environment.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import type { Variables } from '../../modules/registry/src/settings/variables.ts';
import { property } from '../../modules/registry/src/settings/entries.ts';
import { contentsOf, environmentOf, modulesOf, type NamedEntry } from './manifest.ts';

/** The name our module has in every template: routes, the API proxy's address and the metrics URL depend on it. */
export const registryModule = 'connectedregistry';

/** Stand-ins for what IoT Edge gives a module, so that a `$NAME` that refers to it can be replaced. */
const givenByIotEdge: Variables = {
  IOTEDGE_WORKLOADURI: 'unix:///var/run/iotedge/workload.sock',
  IOTEDGE_AUTHSCHEME: 'sasToken',
  IOTEDGE_MODULEGENERATIONID: '638000000000000000',
  IOTEDGE_IOTHUBHOSTNAME: 'hub.azure-devices.net',
  IOTEDGE_GATEWAYHOSTNAME: 'gateway',
  IOTEDGE_PARENTHOSTNAME: 'parent',
  IOTEDGE_DEVICEID: 'device',
  IOTEDGE_MODULEID: registryModule,
};

export interface CheckedRegistry {
  readonly problems: readonly Problem[];
  /** Accepted, but without effect. */
  readonly warnings: readonly Problem[];
}

/** Our module's environment and desired properties, by the rules the module itself applies. */
export function checkRegistry(manifest: unknown): CheckedRegistry {
  const module = modulesOf(manifest).find(({ name }) => name === registryModule);
  if (!module) {
    const message = `must hold the module ${registryModule}, under this name`;
    return { problems: [{ path: '/modulesContent/$edgeAgent', message }], warnings: [] };
  }
  const environment = environmentOf(module);
  const written = environment.map(({ name, value }) => [name, String(value)] as const);
  const variables = { ...givenByIotEdge, ...Object.fromEntries(written) };
  const read = readEnvironment(variables);
  const settings = checkDesired(manifest, variables, read.ok ? read.environment.connection : undefined);
  return {
    problems: [
      ...unknownVariables(environment),
      ...(read.ok ? [] : read.problems.map((problem) => inEnvironment(problem, module))),
      ...settings.problems,
    ],
    warnings: settings.warnings,
  };
}

function checkDesired(manifest: unknown, variables: Variables, connection?: ConnectionString): CheckedRegistry {
  const content = contentsOf(manifest).find(({ name }) => name === registryModule);
  const desired = content && property(content, 'properties.desired');
  if (desired?.value === undefined) return { problems: [], warnings: [] };
  const parsed = parseSettings(desired.value, { variables, ...(connection && { connection }) });
  const placed = ({ path, message }: Problem): Problem => ({ path: desired.path + path, message });
  return parsed.ok
    ? { problems: [], warnings: parsed.warnings.map(placed) }
    : { problems: parsed.problems.map(placed), warnings: [] };
}

function unknownVariables(environment: readonly NamedEntry[]): readonly Problem[] {
  const known = environmentTable.map(({ name }) => name as string).filter((name) => name.startsWith('ACR_'));
  return environment
    .filter(({ name }) => name.startsWith('ACR_') && !known.includes(name))
    .map(({ path }) => ({ path, message: `belongs to no variable of the registry; known are ${known.join(', ')}` }));
}

/** `/ACR_REGISTRY_CONNECTION_STRING/SyncTokenName` points into a string; the pointer ends at the string. */
function inEnvironment({ path, message }: Problem, module: NamedEntry): Problem {
  const [, name = '', part] = path.split('/');
  return { path: `${module.path}/env/${name}/value`, message: part === undefined ? message : `${part}: ${message}` };
}
