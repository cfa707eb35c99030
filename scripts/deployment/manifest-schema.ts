import { createOptionsLimits } from './create-options.ts';

/**
 * A deployment manifest as edgeAgent 1.1 and edgeHub 1.1 take it (Azure/iotedge; SchemaStore
 * azure-iot-edgeagent-deployment-1.1, azure-iot-edgehub-deployment-1.2), and its layered form, in which keys such as
 * `properties.desired.modules.<name>` set one place each.
 */

const text = { type: 'string', minLength: 1 };
const group = (properties: object, required: readonly string[] = [], rest: object = {}): object => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  ...rest,
});
const named = (key: string, value: object): object => group({}, [], { patternProperties: { [key]: value } });

const moduleName = '[A-Za-z0-9_-]+';
/** edgeAgent refuses these characters in names of environment variables, IoT Hub most of them in any key. */
const environmentName = String.raw`[^+#$\s.]+`;
const twinKey = String.raw`[^.$#\s]+`;
const chunk = { type: 'string', maxLength: createOptionsLimits.chunkCharacters };

const environmentValue = group({ value: { type: ['string', 'number', 'boolean'] } }, ['value']);
const environment = named(`^${environmentName}$`, environmentValue);
const settings = group({ image: text, createOptions: chunk }, ['image'], {
  patternProperties: { '^createOptions(0[1-9]|[1-9][0-9])$': chunk },
});
const type = { type: 'string', enum: ['docker'] };
const imagePullPolicy = { type: 'string', enum: ['on-create', 'never'] };
const startupOrder = { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 };

const edgeModule = group(
  {
    version: text,
    type,
    status: { type: 'string', enum: ['running', 'stopped'] },
    restartPolicy: { type: 'string', enum: ['never', 'on-failure', 'on-unhealthy', 'always'] },
    imagePullPolicy,
    startupOrder,
    env: environment,
    settings,
  },
  ['type', 'status', 'restartPolicy', 'settings'],
);
const edgeAgent = group({ type, imagePullPolicy, env: environment, settings }, ['type', 'settings']);
const edgeHub = group(
  {
    type,
    status: { type: 'string', enum: ['running'] },
    restartPolicy: { type: 'string', enum: ['always'] },
    imagePullPolicy,
    startupOrder,
    env: environment,
    settings,
  },
  ['type', 'status', 'restartPolicy', 'settings'],
);
const credentials = group({ address: text, username: text, password: text }, ['address', 'username', 'password']);

const agentDesired = group(
  {
    schemaVersion: { type: 'string', enum: ['1.1'] },
    runtime: group(
      {
        type,
        settings: group(
          {
            minDockerVersion: text,
            loggingOptions: { type: 'string' },
            registryCredentials: named(`^${twinKey}$`, credentials),
          },
          ['minDockerVersion'],
        ),
      },
      ['type', 'settings'],
    ),
    systemModules: group({ edgeAgent, edgeHub }, ['edgeAgent', 'edgeHub']),
    modules: named(`^${moduleName}$`, edgeModule),
  },
  ['schemaVersion', 'runtime', 'systemModules', 'modules'],
);

const route = {
  type: ['string', 'object'],
  properties: {
    route: text,
    priority: { type: 'integer', minimum: 0, maximum: 9 },
    timeToLiveSecs: { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 },
  },
  required: ['route'],
  additionalProperties: false,
};
const hubDesired = group(
  {
    schemaVersion: { type: 'string', enum: ['1.1', '1.2', '1.3'] },
    routes: named(`^${twinKey}$`, route),
    storeAndForwardConfiguration: group({ timeToLiveSecs: { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 } }, [
      'timeToLiveSecs',
    ]),
  },
  ['schemaVersion', 'routes', 'storeAndForwardConfiguration'],
);

/** One key of a layered deployment: `place`, with what may stand there. */
const layered = (place: string): string => String.raw`^properties\.desired\.${place}$`;

const moduleContent = {
  type: 'object',
  properties: { 'properties.desired': { type: 'object' } },
  patternProperties: { [layered('.+')]: {} },
  additionalProperties: false,
};

const manifest = (systemModules: object, required: readonly string[]): object =>
  group(
    {
      modulesContent: {
        type: 'object',
        properties: systemModules,
        required,
        patternProperties: { [`^${moduleName}$`]: moduleContent },
        additionalProperties: false,
      },
    },
    ['modulesContent'],
  );

export const deploymentSchema = manifest(
  {
    $edgeAgent: group({ 'properties.desired': agentDesired }, ['properties.desired']),
    $edgeHub: group({ 'properties.desired': hubDesired }, ['properties.desired']),
  },
  ['$edgeAgent', '$edgeHub'],
);

export const layeredSchema = manifest(
  {
    $edgeAgent: group({}, [], {
      patternProperties: {
        [layered(String.raw`modules\.${moduleName}`)]: edgeModule,
        [layered(String.raw`modules\.${moduleName}\.env\.${environmentName}`)]: environmentValue,
        [layered(String.raw`runtime\.settings\.registryCredentials\.${twinKey}`)]: credentials,
      },
    }),
    $edgeHub: group({}, [], { patternProperties: { [layered(String.raw`routes\.${twinKey}`)]: route } }),
  },
  ['$edgeAgent'],
);
