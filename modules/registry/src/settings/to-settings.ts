import { parsePlatform } from '../oci/platform.ts';
import { parseRepositoryPattern, type RepositoryPattern } from '../oci/pattern.ts';
import type { DesiredPassword, DesiredProperties, DesiredRepository } from './desired-properties.ts';
import { parseDurationMs } from './duration.ts';
import type { ConnectionString } from './environment.ts';
import { parsePermission } from './permission.ts';
import { isContinuous } from './schedule.ts';
import type { ParentSettings, RepositoryRule, Settings, SyncProperties, TokenPassword } from './settings.ts';
import { parseTimestamp } from './timestamp.ts';
import { replaceVariables, type Variables } from './variables.ts';

/** Turns a checked document, defaults filled in, into settings. Nothing can be wrong any more. */
export function toSettings(
  document: DesiredProperties,
  connection: ConnectionString | undefined,
  variables: Variables,
): Settings {
  const { mode, activation, onDemand, transfer, removal, storage, logging, garbageCollection, notificationsList } =
    document;
  return {
    mode,
    parent: document.parent && toParent(document.parent, connection, variables),
    repositories: document.repositories.flatMap(toRule),
    clientTokens: document.clientTokens.map((token) => ({ ...token, passwords: token.passwords.map(toPassword) })),
    scopeMaps: document.scopeMaps.map(({ name, actions }) => ({
      name,
      permissions: actions.flatMap((action) => parsePermission(action) ?? []),
    })),
    children: document.children.map((child) => ({
      ...child,
      repositories: child.repositories.flatMap(toPattern),
      syncToken: { ...child.syncToken, passwords: child.syncToken.passwords.map(toPassword) },
    })),
    activation,
    onDemand,
    transfer,
    removal,
    storage,
    logging,
    garbageCollection,
    notificationsList,
  };
}

/** What the document leaves out comes from the connection string; without an endpoint in either there is no parent. */
function toParent(
  parent: NonNullable<DesiredProperties['parent']>,
  connection: ConnectionString | undefined,
  variables: Variables,
): ParentSettings | undefined {
  const replaced = replaceVariables(parent.gatewayEndpoint ?? '', variables);
  const named = parent.gatewayEndpoint !== undefined && replaced.ok ? replaced.text : undefined;
  const gatewayEndpoint = named ?? connection?.parentGatewayEndpoint;
  if (gatewayEndpoint === undefined) return undefined;
  // An http meant for the endpoint of the connection string must not weaken another one.
  const protocol = named === undefined ? connection?.parentEndpointProtocol : undefined;
  return {
    gatewayEndpoint,
    protocol: parent.protocol ?? protocol ?? 'https',
    syncToken: parent.syncToken ?? connection?.syncToken,
    syncProperties: toSyncProperties(parent.syncProperties),
  };
}

type Desired = NonNullable<DesiredProperties['parent']>['syncProperties'];

function toSyncProperties({ schedule, syncWindow, messageTtl }: Desired): SyncProperties {
  return {
    schedule,
    syncWindowMs: isContinuous(schedule) || syncWindow === undefined ? undefined : parseDurationMs(syncWindow),
    messageTtlMs: parseDurationMs(messageTtl) ?? 0,
  };
}

function toRule(entry: DesiredProperties['repositories'][number]): RepositoryRule[] {
  const all: DesiredRepository = { name: '', tags: [], platforms: [] };
  const { name, tags, semver, platforms } = typeof entry === 'string' ? { ...all, name: entry } : entry;
  return toPattern(name).map((pattern) => ({
    name: pattern,
    tags,
    ...(semver !== undefined && { semver }),
    platforms: platforms.flatMap((platform) => parsePlatform(platform) ?? []),
  }));
}

function toPattern(text: string): RepositoryPattern[] {
  const pattern = parseRepositoryPattern(text);
  return pattern ? [pattern] : [];
}

function toPassword({ name, hash, expiry }: DesiredPassword): TokenPassword {
  return { name, hash, expiry: expiry === undefined ? undefined : parseTimestamp(expiry) };
}
