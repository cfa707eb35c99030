import type { JsonObject } from '../../modules/registry/src/twin/twin.ts';
import type { Cloud, Gateway, Layer } from './hierarchy.ts';

/** The one place where the plain password of a sync token is kept is this variable of the layer's `.env`. */
export const passwordVariable = 'SYNC_TOKEN_PASSWORD';

/** What the deployment template of a layer takes from its `.env`: the top one's from a cloud registry, the nested one's. */
export function layerVariables(
  layer: Layer,
  above: Cloud | Gateway,
  password: string,
): Readonly<Record<string, string>> {
  const token = { CONNECTED_REGISTRY_NAME: layer.name, SYNC_TOKEN_NAME: layer.name, [passwordVariable]: password };
  if (!('loginServer' in above)) return token;
  return {
    ...token,
    CONTAINER_REGISTRY_SERVER: above.loginServer,
    CONTAINER_REGISTRY_USERNAME: layer.name,
    CONTAINER_REGISTRY_PASSWORD: password,
    ACR_REGISTRY_CONNECTION_STRING: [
      `ConnectedRegistryName=${layer.name}`,
      `SyncTokenName=${layer.name}`,
      `SyncTokenPassword=${password}`,
      `ParentGatewayEndpoint=${above.loginServer}`,
      `ParentEndpointProtocol=${above.protocol}`,
    ].join(';'),
  };
}

/** Where the API proxy of the parent listens in the templates. */
const usual = { port: 8000, protocol: 'https' } as const;

/** What the desired properties say of a parent that is not where the nested template has it. */
export function unusualParent({ port, protocol }: Gateway): JsonObject {
  if (port === usual.port && protocol === usual.protocol) return {};
  return { gatewayEndpoint: `$IOTEDGE_PARENTHOSTNAME:${port}`, protocol };
}

/** The host in the image names of a layer below `gateway`; edgeAgent replaces $upstream, and needs the port. */
export function upstream({ port }: Gateway): string {
  return `$upstream:${port}`;
}

/** Lines of a `.env` file. Throws RangeError for a value with a line break or every kind of quote. */
export function formatVariables(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => {
      const quote = [`'`, '"', '`'].find((mark) => !value.includes(mark));
      if (quote === undefined || /[\r\n]/.test(value)) throw new RangeError(`${name} cannot be written to a .env file`);
      return `${name}=${quote}${value}${quote}\n`;
    })
    .join('');
}
