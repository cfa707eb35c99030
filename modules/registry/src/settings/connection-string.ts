import { isEndpoint } from './endpoint.ts';
import type { ConnectionString } from './environment.ts';
import { formats, type Format } from './formats.ts';
import { isRegistryName } from './names.ts';
import type { Problem } from './settings.ts';
import { replaceVariables, type Variables } from './variables.ts';

export type ParsedConnectionString =
  | { readonly ok: true; readonly connection: ConnectionString }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const required = ['ConnectedRegistryName', 'SyncTokenName', 'SyncTokenPassword', 'ParentGatewayEndpoint'] as const;
const keys = [...required, 'ParentEndpointProtocol'] as const;
type Key = (typeof keys)[number];

/** What a value must be, once its variables are replaced. */
const rules: Readonly<Record<Key, Format>> = {
  ConnectedRegistryName: { validate: isRegistryName, rule: formats['registry-name'].rule },
  SyncTokenName: formats['user-name'],
  SyncTokenPassword: { validate: (value) => value !== '', rule: 'a password' },
  ParentGatewayEndpoint: { validate: isEndpoint, rule: formats.endpoint.rule },
  ParentEndpointProtocol: { validate: (value) => value === 'http' || value === 'https', rule: 'http or https' },
};

/**
 * Reads `ConnectedRegistryName=…;SyncTokenName=…;…` as `az acr connected-registry get-settings` prints it: keys are
 * case-sensitive, a pair ends its key at its first `=`, `$NAME` in a value is replaced from `variables`.
 * The protocol is https where the string names none. Problems never show a value; their paths are `/<key>`.
 */
export function parseConnectionString(text: string, variables: Variables = {}): ParsedConnectionString {
  const problems: Problem[] = [];
  const values = new Map<Key, string>();
  for (const pair of text.trim().split(';').filter(Boolean)) {
    const key = keys.find((known) => pair.startsWith(`${known}=`));
    // What is no known key may be part of a password, so it is not shown.
    if (!key) problems.push({ path: '', message: `holds an unknown key; known are ${keys.join(', ')}` });
    else if (values.has(key)) problems.push({ path: `/${key}`, message: 'is there twice' });
    else values.set(key, pair.slice(key.length + 1));
  }
  for (const key of required) if (!values.has(key)) problems.push({ path: `/${key}`, message: 'is missing' });
  for (const [key, written] of values) {
    const value = valueOf(key, written, variables);
    if (typeof value !== 'string') problems.push(...value);
    else if (rules[key].validate(value)) values.set(key, value);
    else problems.push({ path: `/${key}`, message: `must be ${rules[key].rule}` });
  }
  if (problems.length > 0) return { ok: false, problems };
  const get = (key: Key): string => values.get(key) ?? '';
  return {
    ok: true,
    connection: {
      connectedRegistryName: get('ConnectedRegistryName'),
      syncToken: { name: get('SyncTokenName'), password: get('SyncTokenPassword') },
      parentGatewayEndpoint: get('ParentGatewayEndpoint'),
      parentEndpointProtocol: get('ParentEndpointProtocol') === 'http' ? 'http' : 'https',
    },
  };
}

/** A password may hold a dollar sign, so only a whole one refers to a variable, and what it refers to is not shown. */
function valueOf(key: Key, written: string, variables: Variables): string | readonly Problem[] {
  const secret = key === 'SyncTokenPassword';
  if (secret && !/^\$[A-Za-z_][A-Za-z0-9_]*$/.test(written)) return written;
  const replaced = replaceVariables(written, variables);
  if (replaced.ok) return replaced.text;
  return replaced.missing.map((name) => ({
    path: `/${key}`,
    message: `${secret ? 'the environment variable it refers to' : `environment variable ${name}`} is not set`,
  }));
}
