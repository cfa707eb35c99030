import { randomUUID } from 'node:crypto';
import type { CertificatePair } from './certificate-folder.ts';
import type { Clock } from './status/clock.ts';
import { workloadApiOf } from './twin/workload-api.ts';

/** The device this module runs on, as IoT Edge tells it. */
export interface EdgeDevice {
  /** The name under which its clients know the device; undefined outside IoT Edge. */
  readonly hostName: string | undefined;
  /** As edgeHub labels its own metrics; none outside IoT Edge. */
  readonly metricLabels: Readonly<Record<string, string>>;
  /** Its certificate authorities, PEM; undefined where there is no workload API. Rejects when the daemon is away. */
  trustBundle(): Promise<string | undefined>;
  /** A server certificate from the device's Edge CA; absent where there is no workload API. */
  readonly issueCertificate: (() => Promise<CertificatePair>) | undefined;
}

/** Asked of the daemon, which decides for itself. */
const certificateLifetimeMs = 30 * 86_400_000;

export function edgeDevice(options: {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly clock: Pick<Clock, 'now'>;
}): EdgeDevice {
  const { variables, clock } = options;
  const { IOTEDGE_IOTHUBHOSTNAME: iothub, IOTEDGE_DEVICEID: device, IOTEDGE_GATEWAYHOSTNAME: hostName } = variables;
  const workload = workloadApiOf(variables);
  return {
    hostName,
    metricLabels: iothub && device ? { iothub, edge_device: device, instance_number: randomUUID() } : {},
    trustBundle: async () => workload?.trustBundle(),
    issueCertificate:
      workload &&
      (() => {
        const [commonName = 'localhost'] = (hostName ?? 'localhost').split(':');
        const expiration = new Date(clock.now().getTime() + certificateLifetimeMs);
        return workload.serverCertificate({ commonName, expiration });
      }),
  };
}
