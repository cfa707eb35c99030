import { createHmac } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EventEmitter, once } from 'node:events';
import type { EdgeCertificates } from './edge-certificates.ts';

const apiVersions = ['2018-06-28', '2019-01-30', '2019-10-22', '2019-11-05', '2020-07-07', '2021-12-07', '2022-08-03'];

export interface WorkloadStandinOptions {
  readonly certificates: EdgeCertificates;
  /** By module id. The daemon knows callers by process id; here the name in the path is believed. */
  readonly modules: Readonly<Record<string, { readonly generationId: string; readonly key: string }>>;
  /** A unix socket; absent: HTTP on a free port of 127.0.0.1. */
  readonly socketPath?: string;
}

export interface WorkloadRequest {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}

/** A status to answer with, `drop` to close without an answer, `silent` never to answer. */
export type WorkloadFault = number | 'drop' | 'silent' | undefined;

/**
 * Stand-in for the IoT Edge daemon's workload API (edgelet-http-workload): trust bundle, sign, server certificate.
 * Emits `request` after each one. `stop` and `start` imitate a restart; the address stays the same.
 */
export class WorkloadStandin extends EventEmitter<{ request: [WorkloadRequest] }> {
  readonly requests: WorkloadRequest[] = [];
  /** Fault injection: asked for every request, which waits for the answer. */
  fault: (request: WorkloadRequest) => WorkloadFault | Promise<WorkloadFault> = () => undefined;
  readonly #options: WorkloadStandinOptions;
  #server: Server | undefined;
  #port = 0;

  constructor(options: WorkloadStandinOptions) {
    super();
    this.#options = options;
  }

  /** For `IOTEDGE_WORKLOADURI`. */
  get uri(): string {
    const { socketPath } = this.#options;
    return socketPath === undefined ? `http://127.0.0.1:${this.#port}` : `unix://${socketPath}`;
  }

  async start(): Promise<void> {
    const { socketPath } = this.#options;
    const server = createServer((request, response) => void this.#answer(request, response));
    server.maxConnections = 10; // further ones are closed without reply (workloadsockets.md)
    if (socketPath === undefined) server.listen(this.#port, '127.0.0.1');
    else {
      await rm(socketPath, { force: true });
      server.listen(socketPath);
    }
    await once(server, 'listening');
    if (socketPath === undefined) this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { method = '', url = '' } = incoming;
    const request = { method, url, body: Buffer.concat(chunks).toString('utf8') };
    this.requests.push(request);
    const fault = await this.fault(request);
    if (fault === 'drop') incoming.socket.destroy();
    else if (fault !== 'silent') {
      const { status, body } = fault === undefined ? await this.#result(request) : refuse(fault, 'injected');
      const text = JSON.stringify(body);
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      response.end(text);
    }
    this.emit('request', request);
  }

  async #result(request: WorkloadRequest): Promise<{ status: number; body: unknown }> {
    const { certificates, modules } = this.#options;
    const { pathname, searchParams } = new URL(request.url, 'http://workload');
    const version = searchParams.get('api-version');
    if (version === null) return refuse(400, 'api-version not specified');
    if (!apiVersions.includes(version)) return refuse(400, `invalid api-version "${version}"`);
    const route = `${request.method} ${pathname}`;
    if (route === 'GET /trust-bundle') return { status: 200, body: { certificate: certificates.trustBundle } };

    const match = /^POST \/modules\/([^/]+)\/genid\/([^/]+)\/(sign|certificate\/server)$/.exec(route);
    if (!match) return refuse(404, 'not found');
    const [, name = '', generationId = '', action] = match;
    const module = modules[decodeURIComponent(name)];
    if (module?.generationId !== decodeURIComponent(generationId)) return refuse(403, 'forbidden');
    const body = JSON.parse(request.body) as { data?: string; commonName?: string };
    if (action === 'sign') {
      const data = Buffer.from(body.data ?? '', 'base64');
      const digest = createHmac('sha256', Buffer.from(module.key, 'base64')).update(data).digest('base64');
      return { status: 200, body: { digest } };
    }
    if (body.commonName === undefined) return refuse(400, 'commonName is missing');
    // SAN: the common name and the module id; the asked expiration is not looked at (edgelet, server.rs).
    const names = [body.commonName, decodeURIComponent(name)];
    const { cert, key, expiration } = await certificates.issueServer(names, { rsa: true });
    const end = expiration.toISOString().replace(/\.\d+Z$/, '+00:00');
    return { status: 201, body: { privateKey: { type: 'key', bytes: key }, certificate: cert, expiration: end } };
  }
}

function refuse(status: number, message: string): { status: number; body: { message: string } } {
  return { status, body: { message } };
}
