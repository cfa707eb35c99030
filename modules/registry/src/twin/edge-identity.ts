type Variables = Readonly<Record<string, string | undefined>>;

/** Who this module is and how it proves it, as IoT Edge says it through the environment. */
export type EdgeIdentity =
  | {
      readonly kind: 'workload';
      readonly workloadUri: string;
      readonly apiVersion: string;
      readonly hubHost: string;
      /** host[:port] of edgeHub; absent: straight to the hub. */
      readonly gatewayHost: string | undefined;
      readonly deviceId: string;
      readonly moduleId: string;
      readonly generationId: string;
    }
  | {
      readonly kind: 'connectionString';
      /** Holds the module's key: never to be logged. */
      readonly connectionString: string;
      readonly caFile: string | undefined;
    };

/** The workload API version every supported runtime has; IOTEDGE_APIVERSION tells a newer one. */
const defaultApiVersion = '2018-06-28';

/** Throws when IoT Edge left something out, naming the variable. A connection string wins, as in the SDK. */
export function readEdgeIdentity(variables: Variables): EdgeIdentity {
  const connectionString = variables['EdgeHubConnectionString'];
  if (connectionString) {
    return { kind: 'connectionString', connectionString, caFile: variables['EdgeModuleCACertificateFile'] };
  }
  const scheme = required(variables, 'IOTEDGE_AUTHSCHEME');
  if (scheme.toLowerCase() !== 'sastoken') throw new Error(`IOTEDGE_AUTHSCHEME ${scheme} is not supported`);
  return {
    kind: 'workload',
    workloadUri: required(variables, 'IOTEDGE_WORKLOADURI'),
    apiVersion: variables['IOTEDGE_APIVERSION'] ?? defaultApiVersion,
    hubHost: required(variables, 'IOTEDGE_IOTHUBHOSTNAME'),
    gatewayHost: variables['IOTEDGE_GATEWAYHOSTNAME'],
    deviceId: required(variables, 'IOTEDGE_DEVICEID'),
    moduleId: required(variables, 'IOTEDGE_MODULEID'),
    generationId: required(variables, 'IOTEDGE_MODULEGENERATIONID'),
  };
}

function required(variables: Variables, name: string): string {
  const value = variables[name];
  if (!value) throw new Error(`${name} is not set; IoT Edge sets it for every module`);
  return value;
}
