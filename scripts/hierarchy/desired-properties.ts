import type { DesiredPassword } from '../../modules/registry/src/settings/desired-properties.ts';
import { parseSettings } from '../../modules/registry/src/settings/parse-settings.ts';
import type { Problem } from '../../modules/registry/src/settings/settings.ts';
import { checkTwinLimits, sizeBytesOf, twinLimits } from '../../modules/registry/src/twin/twin-limits.ts';
import type { Json, JsonObject } from '../../modules/registry/src/twin/twin.ts';
import type { Gateway, Layer, Repository } from './hierarchy.ts';
import { unusualParent } from './layer-variables.ts';

export interface DesiredOptions {
  readonly layer: Layer;
  /** Undefined: the cloud registry. */
  readonly gateway: Gateway | undefined;
  readonly repositories: readonly Repository[];
  readonly clientPasswords: ReadonlyMap<string, readonly DesiredPassword[]>;
  readonly children: readonly {
    readonly layer: Layer;
    readonly repositories: readonly string[];
    readonly passwords: readonly DesiredPassword[];
  }[];
}

/** The module twin's desired properties of one layer. */
export function desiredProperties({
  layer,
  gateway,
  repositories,
  clientPasswords,
  children,
}: DesiredOptions): JsonObject {
  const { mode, sync, clientTokens, scopeMaps, settings } = layer;
  const inline = clientTokens.flatMap(({ name, actions }) => (actions ? [{ name, actions: [...actions] }] : []));
  const document: Record<keyof typeof settings, unknown> = {
    mode,
    parent: { ...(gateway && unusualParent(gateway)), syncProperties: sync },
    repositories,
    clientTokens: clientTokens.map(({ name, status, scopeMap, expiry }) => ({
      name,
      ...(status && { status }),
      scopeMap: scopeMap ?? name,
      passwords: (clientPasswords.get(name) ?? []).map((password) => ({ ...password, ...(expiry && { expiry }) })),
    })),
    scopeMaps: [...scopeMaps, ...inline],
    children: children.map(({ layer: child, repositories: allowed, passwords }) => ({
      name: child.name,
      mode: child.mode,
      repositories: allowed,
      syncToken: { name: child.name, passwords },
    })),
    ...settings,
  };
  return document as Record<string, Json>;
}

/** Every reason for which the module or its twin would refuse the document; paths are those of the hierarchy file. */
export function desiredProblems({ path, name }: Layer, document: JsonObject): Problem[] {
  const parsed = parseSettings(document, {
    variables: { IOTEDGE_PARENTHOSTNAME: 'parent' },
    connection: {
      connectedRegistryName: name,
      syncToken: { name, password: 'any' },
      parentGatewayEndpoint: 'parent',
      parentEndpointProtocol: 'https',
    },
  });
  const problems = parsed.ok
    ? []
    : parsed.problems.map((problem) => ({ ...problem, path: path + inLayer(problem.path) }));
  return [...problems, ...sizeProblems(path, document)];
}

function sizeProblems(path: string, document: JsonObject): Problem[] {
  const bytes = sizeBytesOf(document);
  if (bytes > twinLimits.sectionBytes) {
    return [{ path, message: `needs ${bytes} bytes of desired properties; a twin holds ${twinLimits.sectionBytes}` }];
  }
  return checkTwinLimits(document).map((problem) => ({ ...problem, path: path + inLayer(problem.path) }));
}

/** Where the file says what the document says at `path`. */
function inLayer(path: string): string {
  if (path.startsWith('/parent/syncProperties')) return path.replace('/parent/syncProperties', '/sync');
  if (path.startsWith('/children')) return '';
  return /^\/(mode|repositories|clientTokens|scopeMaps)\b/.test(path) ? path : `/settings${path}`;
}
