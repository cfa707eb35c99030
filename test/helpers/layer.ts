import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEdgeSite, type EdgeSite } from './edge-site.ts';
import type { Properties } from './edgehub-rules.ts';
import { freePort } from './free-port.ts';
import type { HostsFile } from './hosts-file.ts';
import { Program } from './program.ts';
import { until } from './until.ts';

export interface LayerOptions {
  readonly name: string;
  /** Holds the data volume; outlives the module. */
  readonly directory: string;
  readonly parent: {
    readonly endpoint: string;
    readonly protocol?: 'http' | 'https';
    readonly syncToken: { readonly name: string; readonly password: string };
  };
  readonly desired: Properties;
  /** Where the registry API listens; any free port when absent. */
  readonly port?: number;
  /** Runs the build in this directory, `dist`, instead of the sources. */
  readonly built?: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly site?: EdgeSite;
  /** The names this device knows. */
  readonly hosts?: HostsFile;
}

/** The desired and reported properties that tests and the demo read. */
export interface LayerReport extends Properties {
  readonly inSync?: boolean;
  readonly connectionState?: string;
  readonly mode?: string;
  readonly storage?: { readonly usedBytes: number };
  readonly registrySyncResult?: { readonly syncState: string; readonly lastSyncEndTime?: string };
  readonly statusDetails?: readonly { readonly code: string; readonly description: string }[];
  readonly syncProgress?: ReportedProgress;
}

export interface ReportedProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** ISO 8601; absent while nothing moves. */
  readonly eta?: string;
  readonly repositories: readonly ReportedRepository[];
}

export interface ReportedRepository {
  readonly name: string;
  readonly state: string;
  readonly tagsInSync: number;
  readonly tagsTotal: number;
  readonly bytesDone?: number;
  readonly bytesTotal?: number;
}

/** One network layer: an IoT Edge device's hub and workload API, and the registry module as a process of its own. */
export interface Layer {
  readonly name: string;
  readonly site: EdgeSite;
  /** host:port of the registry API, plain HTTP. */
  readonly endpoint: string;
  readonly url: string;
  readonly metricsUrl: string;
  readonly program: Program;
  readonly report: LayerReport;
  /** Starts the module (again), with the same data volume and the same twin. */
  start(): Promise<void>;
  stop(): Promise<number | null>;
  kill(): Promise<void>;
  /** Resolves once the reported properties satisfy `condition`. */
  reported(what: string, condition: (report: LayerReport) => boolean, limitMs?: number): Promise<LayerReport>;
  residentBytes(): Promise<number>;
  close(): Promise<void>;
}

const moduleId = 'registry';
const root = new URL('../../', import.meta.url).pathname;

export async function startLayer(options: LayerOptions): Promise<Layer> {
  const { name, directory, parent, desired, variables = {} } = options;
  const site = options.site ?? (await startEdgeSite({ modules: [moduleId] }));
  site.hub.replaceDesired(moduleId, desired);
  const port = options.port ?? (await freePort());
  const metricsPort = await freePort();
  const { protocol = 'http', syncToken } = parent;
  const environment = {
    ...site.variables(moduleId),
    ACR_REGISTRY_CONNECTION_STRING: [
      `ConnectedRegistryName=${name}`,
      `SyncTokenName=${syncToken.name}`,
      `SyncTokenPassword=${syncToken.password}`,
      `ParentGatewayEndpoint=${parent.endpoint}`,
      `ParentEndpointProtocol=${protocol}`,
    ].join(';'),
    ACR_REGISTRY_DATA_VOLUME: join(directory, 'data'),
    ACR_REGISTRY_CERTIFICATE_VOLUME: join(directory, 'certs'),
    ACR_REGISTRY_HTTP_PORT: String(port),
    ACR_REGISTRY_HTTPS_PORT: 'off',
    ACR_REGISTRY_METRICS_PORT: String(metricsPort),
    ACR_REGISTRY_BIND_ADDRESS: '127.0.0.1',
    ...variables,
  };
  const metricsUrl = `http://127.0.0.1:${metricsPort}`;
  let program = launch();

  const layer: Layer = {
    name,
    site,
    endpoint: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    metricsUrl,
    get program() {
      return program;
    },
    get report() {
      return site.hub.twin(moduleId).reported as LayerReport;
    },
    async start() {
      program = launch();
      await answers();
    },
    stop: () => program.stop(),
    kill: () => program.kill(),
    async reported(what, condition, limitMs = 30_000) {
      try {
        await site.hub.waitFor(() => condition(layer.report), limitMs);
      } catch (cause) {
        const told = JSON.stringify(layer.report, undefined, 1);
        throw new Error(`${name}: not in ${limitMs} ms: ${what}\n${told}\n${program.output}`, { cause });
      }
      return layer.report;
    },
    async residentBytes() {
      const status = await readFile(`/proc/${String(program.process.pid)}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    },
    async close() {
      await program.stop();
      await site.close();
    },
  };
  try {
    await answers();
  } catch (error) {
    await layer.close();
    throw error;
  }
  return layer;

  function launch(): Program {
    const entry = options.built
      ? [join(options.built, 'main.js')]
      : ['--import', 'tsx', 'modules/registry/src/main.ts'];
    const node = options.hosts?.command(process.execPath, entry) ?? { command: process.execPath, arguments: entry };
    return new Program({ ...node, environment, cwd: root });
  }

  async function answers(): Promise<void> {
    const ended = program.exited.then((code) => {
      throw new Error(`${name} ended with ${String(code)} at its start:\n${program.output}`);
    });
    await Promise.race([until(`${name} is up`, async () => (await fetch(`${metricsUrl}/healthz`)).ok), ended]);
    ended.catch(() => undefined);
  }
}
