import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { Auth } from '../../modules/registry/src/auth/auth.ts';
import { createAuth } from '../../modules/registry/src/auth/create-auth.ts';
import { hashPassword } from '../../modules/registry/src/auth/password-hash.ts';
import { createApi, type ApiOptions, type ApiState } from '../../modules/registry/src/http/create-api.ts';
import { openGateway, type Gateway } from '../../modules/registry/src/gateway/open-gateway.ts';
import type { RequestSample } from '../../modules/registry/src/status/metrics.ts';
import { startListeners } from '../../modules/registry/src/http/start-listeners.ts';
import { parseRepositoryPattern } from '../../modules/registry/src/oci/pattern.ts';
import type { Permission, RepositoryAction, Settings } from '../../modules/registry/src/settings/settings.ts';
import type { Store } from '../../modules/registry/src/store/store.ts';
import { openStore } from '../../modules/registry/src/store/open-store.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { RecordingLog } from '../helpers/recording-log.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { rm } from 'node:fs/promises';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The code of OCI error JSON; undefined for anything else. */
  readonly code: string | undefined;
}

export interface AskOptions {
  /** `name:password`, or a bearer token; `undefined` explicitly: nobody. Default: the administrator. */
  readonly as?: string | undefined;
  readonly body?: Buffer | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A whole registry on a free port: real store, real accounts, real HTTP. */
export interface RegistryServer {
  readonly port: number;
  readonly host: string;
  /** The data volume. */
  readonly directory: string;
  readonly store: Store;
  readonly clock: ManualClock;
  readonly log: RecordingLog;
  readonly samples: RequestSample[];
  /** Resolves at the next answered request that fits. */
  sampled(fits: (sample: RequestSample) => boolean): Promise<RequestSample>;
  readonly changes: () => number;
  readonly gateway: Gateway;
  /** New accounts, and children with them, are in force. */
  applyAccounts(settings: Parameters<Auth['apply']>[0]): void;
  /** What `state()` says from now on. */
  state: ApiState;
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
  close(): Promise<void>;
}

export const admin = 'admin:admin-password';
/** May do everything under `plant/`. */
export const writer = 'writer:writer-password';
/** May pull from `plant/` and see it in the catalog. */
export const reader = 'reader:reader-password';

/** `reserveBytes`: so much of the disk is not for uploads · `carries`: what is pushed is put into the outbox. */
export async function startRegistry(
  options: Partial<ApiOptions> & { readonly reserveBytes?: number; readonly carries?: boolean } = {},
): Promise<RegistryServer> {
  const { reserveBytes, carries = false, ...apiOptions } = options;
  const directory = await temporaryDirectory();
  const clock = new ManualClock();
  const log = new RecordingLog();
  const reserve = reserveBytes === undefined ? {} : { reserveBytes };
  const store = await openStore({ directory, clock, log, carries: () => carries, ...reserve });
  const auth = createAuth({
    signingKey: randomBytes(32),
    clock,
    log,
    admin: { name: 'admin', hash: await hashOf(admin) },
  });
  auth.apply(await accounts());
  const gateway = await openGateway({ records: store.records, clock, log });
  const samples: RequestSample[] = [];
  const events = new EventEmitter<{ sample: [RequestSample] }>();
  let changes = 0;
  const server = {
    state: { mode: 'ReadWrite', quotaBytes: 0, auditLog: false } as ApiState,
  };
  const api = createApi({
    store,
    auth,
    gateway,
    state: () => server.state,
    trustedProxies: [],
    log,
    clock,
    onRequest(sample) {
      samples.push(sample);
      events.emit('sample', sample);
    },
    onChange: () => (changes += 1),
    ...apiOptions,
  });
  const listeners = await startListeners({
    api,
    httpPort: 0,
    httpsPort: 'off',
    bindAddress: '127.0.0.1',
    log,
    graceMs: 1000,
  });
  const port = listeners.http!.port;
  return Object.assign(server, {
    port,
    host: `127.0.0.1:${port}`,
    directory,
    store,
    clock,
    log,
    samples,
    sampled: (fits: (sample: RequestSample) => boolean) =>
      new Promise<RequestSample>((resolve) => {
        const look = (sample: RequestSample): void => {
          if (!fits(sample)) return;
          events.off('sample', look);
          resolve(sample);
        };
        events.on('sample', look);
      }),
    changes: () => changes,
    gateway,
    applyAccounts(settings: Parameters<Auth['apply']>[0]) {
      auth.apply(settings);
      gateway.apply({ mode: server.state.mode, children: settings.children });
    },
    ask: (method: string, path: string, asked: AskOptions = {}) => ask(port, method, path, asked),
    close: async () => {
      await listeners.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  });
}

/** One request over node:http, which sends paths and headers exactly as they are written. */
export async function ask(port: number, method: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const who = 'as' in options ? options.as : admin;
  const headers = { ...(who !== undefined && { Authorization: authorization(who) }), ...options.headers };
  const request = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false });
  const answered = new Promise<Answer>((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      buffer(response).then((body) => {
        const status = response.statusCode ?? 0;
        resolve({ status, headers: response.headers, body, code: codeIn(response.headers, body) });
      }, reject);
    });
  });
  request.end(options.body);
  return answered;
}

export function authorization(who: string): string {
  return who.includes(':') ? `Basic ${Buffer.from(who).toString('base64')}` : `Bearer ${who}`;
}

export function json(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body.toString()) as Record<string, unknown>;
}

function codeIn(headers: IncomingHttpHeaders, body: Buffer): string | undefined {
  if (headers['content-type'] !== 'application/json' || body.length === 0) return undefined;
  const { errors } = JSON.parse(body.toString()) as { errors?: { code: string }[] };
  return errors?.[0]?.code;
}

async function accounts(): Promise<Pick<Settings, 'clientTokens' | 'scopeMaps' | 'children'>> {
  const token = async (who: string, scopeMap: string) => ({
    name: who.split(':')[0]!,
    status: 'enabled' as const,
    scopeMap,
    passwords: [{ name: 'password1', hash: await hashOf(who), expiry: undefined }],
  });
  const scopeMap = (name: string, actions: readonly RepositoryAction[]) => ({
    name,
    permissions: actions.map(onPlant),
  });
  return {
    clientTokens: [await token(writer, 'writers'), await token(reader, 'readers')],
    scopeMaps: [
      scopeMap('writers', ['content/read', 'content/write', 'content/delete', 'metadata/read', 'metadata/write']),
      scopeMap('readers', ['content/read', 'metadata/read']),
    ],
    children: [],
  };
}

function onPlant(action: RepositoryAction): Permission {
  return { kind: 'repository', pattern: parseRepositoryPattern('plant/*')!, action };
}

/** Cheap on purpose: what a hash costs is not the question here. */
function hashOf(who: string): Promise<string> {
  return hashPassword(who.slice(who.indexOf(':') + 1), { ln: 10, r: 8 });
}
