import type { Credentials } from './settings.ts';

/** What the process environment says, checked once at start (product contract, "Module environment"). */
export interface Environment {
  /** From `ACR_REGISTRY_CONNECTION_STRING`, `$NAME`s replaced, `ACR_PARENT_GATEWAY_ENDPOINT` applied. */
  readonly connection: ConnectionString | undefined;
  /** Only requests addressed to this host[:port] are served. */
  readonly loginServer: string | undefined;
  readonly dataVolume: string;
  readonly certificateVolume: string;
  readonly settingsFile: string | undefined;
  /** Present: settings come from the module twin. */
  readonly iotEdge: boolean;
  readonly httpPort: Port;
  readonly httpsPort: Port;
  readonly metricsPort: Port;
  readonly bindAddress: string;
  /** Names and networks whose X-Forwarded-* headers count, as express' `trust proxy` takes them. */
  readonly trustedProxies: readonly string[];
  /** Lower-case IoT Edge runtime log level (`RuntimeLogLevel`), used until settings say otherwise. */
  readonly runtimeLogLevel: string | undefined;
}

/** 0: any free port; `off`: no listener. */
export type Port = number | 'off';

export interface ConnectionString {
  readonly connectedRegistryName: string;
  readonly syncToken: Credentials;
  readonly parentGatewayEndpoint: string;
  readonly parentEndpointProtocol: 'http' | 'https';
}
