import { isIP } from 'node:net';
import { parseConnectionString } from './connection-string.ts';
import { isEndpoint } from './endpoint.ts';
import { environmentTable, type EnvironmentName } from './environment-table.ts';
import type { ConnectionString, Environment, Port } from './environment.ts';
import { formats } from './formats.ts';
import type { Problem } from './settings.ts';
import { replaceVariables, type Variables } from './variables.ts';

export { environmentTable };

export type ReadEnvironment =
  | { readonly ok: true; readonly environment: Environment }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Reads the process environment, once, at start. An empty variable counts as unset.
 * Problems name the variable (`/ACR_REGISTRY_HTTP_PORT`) and its rule, never its value.
 * Under IoT Edge the process is in a container unless `inContainer` says otherwise.
 */
export function readEnvironment(variables: Variables, options: { inContainer?: boolean } = {}): ReadEnvironment {
  const problems: Problem[] = [];
  const get = (name: EnvironmentName): string | undefined => variables[name]?.trim() || undefined;
  const refuse = (name: EnvironmentName, message: string): void => void problems.push({ path: `/${name}`, message });

  const iotEdge =
    get('EdgeHubConnectionString') !== undefined ||
    (get('IOTEDGE_WORKLOADURI') !== undefined &&
      get('IOTEDGE_DEVICEID') !== undefined &&
      get('IOTEDGE_MODULEID') !== undefined);
  const inContainer = options.inContainer ?? iotEdge;

  const environment: Environment = {
    connection: connection(),
    loginServer: checked('ACR_REGISTRY_LOGIN_SERVER', isEndpoint, 'host[:port]'),
    dataVolume: get('ACR_REGISTRY_DATA_VOLUME') ?? (inContainer ? '/var/acr/data' : './data'),
    certificateVolume: get('ACR_REGISTRY_CERTIFICATE_VOLUME') ?? defaultOf('ACR_REGISTRY_CERTIFICATE_VOLUME'),
    settingsFile: get('ACR_REGISTRY_SETTINGS_FILE'),
    iotEdge,
    httpPort: port('ACR_REGISTRY_HTTP_PORT'),
    httpsPort: port('ACR_REGISTRY_HTTPS_PORT'),
    metricsPort: port('ACR_REGISTRY_METRICS_PORT'),
    bindAddress:
      checked('ACR_REGISTRY_BIND_ADDRESS', isAddress, 'an IP address or localhost') ??
      (inContainer ? '0.0.0.0' : '127.0.0.1'),
    trustedProxies: trustedProxies(),
    runtimeLogLevel: get('RuntimeLogLevel')?.toLowerCase(),
  };
  if (iotEdge && environment.settingsFile !== undefined) {
    refuse('ACR_REGISTRY_SETTINGS_FILE', 'must not be set under IoT Edge, where settings come from the module twin');
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, environment };

  function connection(): ConnectionString | undefined {
    const text = get('ACR_REGISTRY_CONNECTION_STRING');
    const override = parentEndpoint(text !== undefined);
    if (text === undefined) return undefined;
    const parsed = parseConnectionString(text, variables);
    if (parsed.ok)
      return override === undefined ? parsed.connection : { ...parsed.connection, parentGatewayEndpoint: override };
    for (const { path, message } of parsed.problems) {
      problems.push({ path: `/ACR_REGISTRY_CONNECTION_STRING${path}`, message });
    }
    return undefined;
  }

  function parentEndpoint(overridesSomething: boolean): string | undefined {
    const name = 'ACR_PARENT_GATEWAY_ENDPOINT';
    const text = get(name);
    if (text === undefined) return undefined;
    if (!overridesSomething)
      refuse(name, 'overrides the connection string, but ACR_REGISTRY_CONNECTION_STRING is not set');
    const replaced = replaceVariables(text, variables);
    if (!replaced.ok) {
      for (const missing of replaced.missing) refuse(name, `environment variable ${missing} is not set`);
      return undefined;
    }
    if (!isEndpoint(replaced.text)) refuse(name, `must be ${formats.endpoint.rule}`);
    return replaced.text;
  }

  function port(name: EnvironmentName): Port {
    const text = get(name) ?? defaultOf(name);
    if (text === 'off') return 'off';
    if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) refuse(name, 'must be a port from 0 to 65535, or off');
    return Number(text);
  }

  function trustedProxies(): readonly string[] {
    const name = 'ACR_REGISTRY_TRUSTED_PROXIES';
    const proxies = (get(name) ?? defaultOf(name)).split(',').map((proxy) => proxy.trim());
    if (!proxies.every(isProxy)) {
      refuse(
        name,
        'must be IP addresses, networks (10.0.0.0/8), loopback, linklocal or uniquelocal, separated by commas',
      );
    }
    return proxies;
  }

  function checked(name: EnvironmentName, matches: (text: string) => boolean, rule: string): string | undefined {
    const text = get(name);
    if (text !== undefined && !matches(text)) refuse(name, `must be ${rule}`);
    return text;
  }
}

function defaultOf(name: EnvironmentName): string {
  return environmentTable.find((row) => row.name === name)?.default ?? '';
}

function isAddress(text: string): boolean {
  return text === 'localhost' || isIP(text) !== 0;
}

function isProxy(text: string): boolean {
  if (text === 'loopback' || text === 'linklocal' || text === 'uniquelocal') return true;
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits ?? 0) <= (version === 4 ? 32 : 128);
}
