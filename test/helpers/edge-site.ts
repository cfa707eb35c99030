import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createEdgeCertificates, type EdgeCertificates, type IssuedCertificate } from './edge-certificates.ts';
import { EdgeHubStandin } from './edgehub-standin.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { WorkloadStandin } from './workload-standin.ts';

export interface EdgeSiteOptions {
  readonly modules: readonly string[];
  readonly deviceId?: string;
  readonly hubName?: string;
  /** For a nested device: what `IOTEDGE_PARENTHOSTNAME` says. */
  readonly parentHostName?: string;
  /** `http`: the workload API on a TCP port instead of a unix socket. */
  readonly workload?: 'unix' | 'http';
  /** Where devices share a root; its own when absent. */
  readonly certificates?: EdgeCertificates;
}

/** One IoT Edge device without its containers: edgeHub, the daemon's workload API, and what modules are told of both. */
export interface EdgeSite {
  readonly hub: EdgeHubStandin;
  readonly workload: WorkloadStandin;
  /** Root of the site's certificates, PEM. */
  readonly trustBundle: string;
  /** The environment IoT Edge gives this module. */
  variables(moduleId: string): Record<string, string>;
  /** The same module by connection string, without the workload API; the caller writes the trust bundle to `caFile`. */
  connectionVariables(moduleId: string, caFile: string): Record<string, string>;
  /** Base64. */
  moduleKey(moduleId: string): string;
  /** For a server of this site: the name, and localhost. */
  issueServerCertificate(name: string): Promise<IssuedCertificate>;
  close(): Promise<void>;
}

export async function startEdgeSite(options: EdgeSiteOptions): Promise<EdgeSite> {
  const { deviceId = 'edge-device', hubName = 'test-hub.azure-devices.net', parentHostName } = options;
  const keys = new Map(options.modules.map((moduleId) => [moduleId, randomBytes(32).toString('base64')]));
  const moduleKey = (moduleId: string): string => {
    const key = keys.get(moduleId);
    if (key === undefined) throw new Error(`this site has no module ${moduleId}`);
    return key;
  };
  const generationId = '638000000000000000';
  const certificates = options.certificates ?? (await createEdgeCertificates());
  const directory = await temporaryDirectory();
  const workload = new WorkloadStandin({
    certificates,
    modules: Object.fromEntries([...keys].map(([moduleId, key]) => [moduleId, { generationId, key }])),
    ...(options.workload !== 'http' && { socketPath: join(directory, 'workload.sock') }),
  });
  await workload.start();
  const hub = await EdgeHubStandin.start({
    ...(await certificates.issueServer(['localhost', '127.0.0.1'])),
    hubName,
    deviceId,
    modules: Object.fromEntries(keys),
  });
  const gateway = (): string => `localhost:${hub.port}`;

  return {
    hub,
    workload,
    trustBundle: certificates.trustBundle,
    moduleKey,
    issueServerCertificate: (name) => certificates.issueServer([name, 'localhost', '127.0.0.1']),

    variables(moduleId) {
      moduleKey(moduleId);
      return {
        IOTEDGE_WORKLOADURI: workload.uri,
        IOTEDGE_AUTHSCHEME: 'sasToken',
        IOTEDGE_MODULEGENERATIONID: generationId,
        IOTEDGE_IOTHUBHOSTNAME: hubName,
        IOTEDGE_GATEWAYHOSTNAME: gateway(),
        IOTEDGE_DEVICEID: deviceId,
        IOTEDGE_MODULEID: moduleId,
        IOTEDGE_APIVERSION: '2022-08-03',
        ...(parentHostName !== undefined && { IOTEDGE_PARENTHOSTNAME: parentHostName }),
      };
    },

    connectionVariables(moduleId, caFile) {
      const pairs = [
        `HostName=${hubName}`,
        `GatewayHostName=${gateway()}`,
        `DeviceId=${deviceId}`,
        `ModuleId=${moduleId}`,
        `SharedAccessKey=${moduleKey(moduleId)}`,
      ];
      return { EdgeHubConnectionString: pairs.join(';'), EdgeModuleCACertificateFile: caFile };
    },

    async close() {
      await hub.close();
      await workload.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
