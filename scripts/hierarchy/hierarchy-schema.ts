import { schema as settings } from '../../modules/registry/src/settings/schema.ts';
import {
  choice,
  flag,
  group,
  list,
  text,
  wholeNumber,
  type Schema,
} from '../../modules/registry/src/settings/schema-words.ts';
import { platforms } from '../deployment/module-source.ts';

const modes = ['ReadOnly', 'ReadWrite'];
const protocols = ['http', 'https'];

/** The part of the settings' schema at `path`, without its defaults: the file says only what its author wrote. */
function setting(...path: readonly string[]): Schema {
  const found = path.reduce<Schema | undefined>((schema, key) => schema?.properties?.[key], settings);
  if (!found) throw new Error(`the settings have no ${path.join('.')}`);
  return withoutDefaults(found);
}

function withoutDefaults(schema: Schema): Schema {
  const { items, properties } = schema;
  return {
    ...schema,
    default: undefined,
    ...(items && { items: withoutDefaults(items) }),
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([key, part]) => [key, withoutDefaults(part)])),
    }),
  };
}

const gateway = group(
  {
    hostName: text('host name under which devices below reach this one'),
    port: { ...wholeNumber('its port', 1, { default: 8000 }), maximum: 65_535 },
    protocol: choice('its protocol; https where the API proxy stands', protocols, { default: 'https' }),
  },
  { default: {} },
);

const clientToken = group(
  {
    name: text('user name', { format: 'name' }),
    status: choice('disabled shuts it out', ['enabled', 'disabled']),
    scopeMap: text('name of one of the scopeMaps, instead of actions', { format: 'name' }),
    actions: list('what it may do, instead of scopeMap', text('permission', { format: 'permission' })),
    expiry: text('when its passwords stop working', { format: 'timestamp' }),
  },
  { required: ['name'] },
);

const variables: Schema = { type: 'object', description: 'for ${NAME} in the deployment templates', default: {} };

const layer = group(
  {
    name: text('name of the connected registry', { format: 'registry-name' }),
    parent: text('name of the layer above; none: the cloud registry', { format: 'registry-name' }),
    mode: choice('mode of the connected registry', modes),
    device: text('IoT Edge device id'),
    iotHub: text('name of the IoT Hub'),
    gateway,
    platform: choice('platform of the device', platforms),
    repositories: setting('repositories'),
    includeDescendants: flag('also keep what the layers below need', { default: false }),
    sync: setting('parent', 'syncProperties'),
    clientTokens: list('who may log in', clientToken, { default: [] }),
    scopeMaps: { ...setting('scopeMaps'), default: [] },
    variables,
    settings: { type: 'object', description: 'further desired properties' },
  },
  { required: ['name', 'mode', 'device'] },
);

/** The hierarchy file: the one list of its keys. What JSON Schema cannot say stands in `hierarchy-rules.ts`. */
export const hierarchySchema: Schema = group(
  {
    cloud: group(
      {
        loginServer: text('host[:port] of the cloud registry', { format: 'endpoint' }),
        kind: choice('acr: Azure Container Registry; oci: any other registry', ['acr', 'oci'], { default: 'acr' }),
        protocol: choice('how to reach it', protocols, { default: 'https' }),
      },
      { required: ['loginServer'] },
    ),
    iotHub: text('name of the IoT Hub of every layer that names none'),
    platform: choice('platform of every device that names none', platforms, { default: 'amd64' }),
    deviceRepositories: list(
      'what every device pulls to run itself',
      text('repository', { format: 'repository-pattern' }),
      {
        default: ['azureiotedge-agent', 'azureiotedge-hub', 'azureiotedge-api-proxy', 'connected-registry'],
      },
    ),
    variables,
    layers: list('the connected registries', layer),
  },
  { required: ['cloud', 'layers'] },
);
