/** One row of the environment table in the README. */
export interface EnvironmentRow {
  readonly name: string;
  /** Empty where there is none. */
  readonly default: string;
  readonly meaning: string;
}

/** Every environment variable this registry reads (product contract, "Module environment"). */
export const environmentTable = [
  {
    name: 'ACR_REGISTRY_CONNECTION_STRING',
    default: '',
    meaning: 'the parent and the sync token, as az acr connected-registry get-settings prints it; $NAME is replaced',
  },
  {
    name: 'ACR_PARENT_GATEWAY_ENDPOINT',
    default: '',
    meaning: 'overrides the parent endpoint of the connection string',
  },
  { name: 'ACR_REGISTRY_LOGIN_SERVER', default: '', meaning: 'only requests addressed to this host[:port] are served' },
  {
    name: 'ACR_REGISTRY_DATA_VOLUME',
    default: '/var/acr/data in the image, ./data outside a container',
    meaning: 'where everything is kept',
  },
  {
    name: 'ACR_REGISTRY_CERTIFICATE_VOLUME',
    default: '/var/acr/certs',
    meaning: 'tls.crt and tls.key here switch HTTPS on, ca.crt holds further roots for the parent',
  },
  {
    name: 'ACR_REGISTRY_SETTINGS_FILE',
    default: '',
    meaning: 'outside IoT Edge: a JSON file of the desired properties, comments allowed, watched',
  },
  { name: 'ACR_REGISTRY_HTTP_PORT', default: '8080', meaning: 'port of the API; 0: any free port, off: none' },
  {
    name: 'ACR_REGISTRY_HTTPS_PORT',
    default: '8443',
    meaning: 'port of the API over TLS; 0: any free port, off: none',
  },
  {
    name: 'ACR_REGISTRY_METRICS_PORT',
    default: '9600',
    meaning: 'port of metrics and health; 0: any free port, off: none',
  },
  {
    name: 'ACR_REGISTRY_BIND_ADDRESS',
    default: '0.0.0.0 in the image, 127.0.0.1 outside a container',
    meaning: 'address all ports listen on',
  },
  {
    name: 'ACR_REGISTRY_TRUSTED_PROXIES',
    default: 'loopback,linklocal,uniquelocal',
    meaning: 'addresses and networks whose X-Forwarded-* headers count, separated by commas',
  },
  {
    name: 'IOTEDGE_WORKLOADURI',
    default: '',
    meaning: 'given by IoT Edge; with the next two, settings come from the module twin',
  },
  { name: 'IOTEDGE_DEVICEID', default: '', meaning: 'given by IoT Edge' },
  { name: 'IOTEDGE_MODULEID', default: '', meaning: 'given by IoT Edge' },
  {
    name: 'EdgeHubConnectionString',
    default: '',
    meaning: 'in place of IOTEDGE_*, for development: settings come from the module twin',
  },
  { name: 'RuntimeLogLevel', default: '', meaning: 'given by IoT Edge; log level until settings say otherwise' },
] as const satisfies readonly EnvironmentRow[];

/** A variable of the table; reading any other is an error of the compiler. */
export type EnvironmentName = (typeof environmentTable)[number]['name'];
