import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Auth } from '../auth/auth.ts';
import { RegistryError } from '../errors.ts';
import type { Gateway } from '../gateway/open-gateway.ts';
import { parseRepositoryName } from '../oci/names.ts';
import type { Mode } from '../settings/settings.ts';
import { systemClock, type Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { RequestSample } from '../status/metrics.ts';
import type { Store } from '../store/store.ts';
import { answerError } from './answer-error.ts';
import { authorize, type Subject } from './authorize.ts';
import { createBufferPool } from './buffer-pool.ts';
import { isWrite, type Endpoint } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import type { Exchange } from './exchange.ts';
import { refuseLockedRepository } from './lock.ts';
import { audit, isAudited, observe } from './observe.ts';
import { nothingElsewhere, type OnMiss } from './on-miss.ts';
import { compileTrust, isAddressedTo, originOf } from './origin.ts';
import { parseParameters } from './parameters.ts';
import { createPieces } from './pieces.ts';
import { createQuickAnswers } from './quick-answers.ts';
import { createRouter, type Match } from './router.ts';
import { ClientGone } from './send-blob.ts';

/** What settings and activation allow at this moment. */
export interface ApiState {
  readonly mode: Mode;
  /** `INACTIVE` refuses pulls and pushes; `ALREADY_ACTIVATED` refuses writes (product contract, "Activation"). */
  readonly refusal?: 'INACTIVE' | 'ALREADY_ACTIVATED';
  /** 0: no limit. */
  readonly quotaBytes: number;
  readonly auditLog: boolean;
}

export interface ApiOptions {
  readonly store: Store;
  readonly auth: Auth;
  readonly gateway: Gateway;
  /** Asked at every request, so that new settings take effect at once. */
  readonly state: () => ApiState;
  /** Only requests addressed to this host[:port] are served. */
  readonly loginServer?: string | undefined;
  /** Addresses, networks, or `loopback`, `linklocal`, `uniquelocal`. */
  readonly trustedProxies: readonly string[];
  readonly log: Log;
  readonly clock?: Clock;
  /** The signal that ends answers waiting now: new settings are coming into force, or the registry closes. */
  readonly patience?: () => AbortSignal;
  readonly onRequest?: (sample: RequestSample) => void;
  /** Where to look for what is not here; without it, nowhere. */
  readonly onMiss?: OnMiss;
  /** After every acknowledged write by a client. */
  readonly onChange?: () => void;
}

/** Serves blobs in pieces of this size: measured best, see README "Decisions". */
const pumpBytes = 512 * 1024;
const pumpBuffersKept = 16;

/**
 * The registry API: one table of endpoints, one order of checks, one answer to errors. Reads answered a moment ago come
 * first; what is under `/v2` is served straight from node, as express alone would cost more than it does; everything
 * else passes through express.
 */
export function createApi(options: ApiOptions): RequestListener {
  const { store, auth, gateway, log } = options;
  const endless = new AbortController().signal;
  const { patience = () => endless } = options;
  const route = createRouter(endpoints);
  const trust = compileTrust(options.trustedProxies);
  const pieces = createPieces({ buffers: createBufferPool({ sizeBytes: pumpBytes, keep: pumpBuffersKept }) });

  const quick = createQuickAnswers({
    store,
    auth,
    clock: options.clock ?? systemClock,
    loginServer: options.loginServer,
    onRequest: options.onRequest,
  });

  let app: Promise<RequestListener> | undefined;

  return (request, response) => {
    if (!options.state().refusal && quick.serve(request, response)) return;
    if (request.url?.startsWith('/v2') === true) void serve(request, response);
    else void serveThroughExpress(request, response);
  };

  async function serveThroughExpress(request: IncomingMessage, response: ServerResponse): Promise<void> {
    app ??= loadExpress((...exchange) => void serve(...exchange));
    (await app)(request, response);
  }

  /** Never rejects: whatever goes wrong is answered here. */
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let handled = (): void => undefined;
    try {
      const [path, search] = splitOnce(request.url ?? '/', '?');
      if (path.startsWith('/v2')) response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0');
      // A child tells a parent of our kind by it, whatever the answer is.
      if (path.startsWith('/acr/gateway/')) response.setHeader('Connected-Registry', 'gateway');
      const match = route(request.method ?? '', path);
      const moment = quick.moment();
      const exchange: Exchange = {
        request,
        response,
        query: new URLSearchParams(search),
        origin: originOf(request, trust),
        store,
        auth,
        gateway,
        pieces,
        remember(headers, bytes) {
          const repository = match.kind === 'found' ? parseRepositoryName(match.raw['name'] ?? '') : undefined;
          if (match.kind !== 'found' || !repository) return;
          quick.allow(request, repository, moment);
          quick.remember(request, { endpoint: match.endpoint.id, repository, headers, bytes }, moment);
        },
        onMiss: nothingElsewhere,
        patience: patience(),
        access: undefined,
        principal: undefined,
        bytesReceived: 0,
      };
      handled = observe(exchange, match, (sample) => {
        options.onRequest?.(sample);
        if (match.kind === 'found' && isAudited(exchange, match, sample.status) && options.state().auditLog) {
          audit(log, exchange, match, sample.status);
        }
      });
      await answer(exchange, match);
    } catch (error) {
      if (isAbort(error, request, response)) {
        log.debug('The client went away before it was answered.', { method: request.method, error });
        response.destroy();
      } else {
        answerError(response, error, log);
      }
    } finally {
      handled();
    }
  }

  /** The order of checks is a promise: what a caller may not know must not show in an earlier answer. */
  async function answer(exchange: Exchange, match: Match): Promise<void> {
    if (match.kind === 'unknown') throw new RegistryError('NOT_FOUND');
    if (match.kind === 'wrong-method') {
      exchange.response.setHeader('Allow', match.allowed.join(', '));
      throw new RegistryError('UNSUPPORTED');
    }
    const { endpoint, raw } = match;
    const parameters = parseParameters(raw, exchange.request.method ?? '');
    const { loginServer } = options;
    if (loginServer !== undefined && !isAddressedTo(loginServer, exchange.origin.host)) {
      throw new RegistryError('HOST_UNKNOWN');
    }
    const { mode, refusal, quotaBytes } = options.state();
    const writes = isWrite(endpoint.needs);
    if (refusal && isContent(endpoint) && (writes || refusal === 'INACTIVE')) {
      throw new RegistryError(refusal);
    }
    await authorize(exchange, endpoint.needs, parameters);
    if (writes && mode === 'ReadOnly') {
      exchange.response.setHeader('Allow', readsOf(endpoint.path).join(', '));
      throw new RegistryError('UNSUPPORTED');
    }
    refuseLockedRepository(store, endpoint.needs, parameters.name);
    if (options.onMiss && !(mode === 'ReadWrite' && isPusherLooking(exchange, parameters))) {
      exchange.onMiss = options.onMiss;
    }
    if (quotaBytes > 0 && addsContent(exchange, endpoint) && store.contents.usedBytes >= quotaBytes) {
      throw new RegistryError('STORAGE_FULL', { detail: { quotaBytes } });
    }
    await endpoint.handler(exchange, parameters);
    if (writes && isAcknowledged(exchange)) options.onChange?.();
  }
}

/** What a ReadOnly registry takes at a path; RFC 9110, 15.5.6 asks every 405 for it, were it nothing. */
function readsOf(path: string): readonly string[] {
  return endpoints.filter((row) => row.path === path && !isWrite(row.needs)).flatMap((row) => row.methods);
}

/** Not the token endpoint and not what children are told: these go on without an activation. */
function isContent({ path }: Endpoint): boolean {
  return path.startsWith('/v2') || path.startsWith('/acr/v1') || path.endsWith('/contents');
}

function addsContent({ request }: Exchange, endpoint: Endpoint): boolean {
  return endpoint.needs === 'content/write' && request.method !== 'GET' && request.method !== 'DELETE';
}

/** Who pushes does not send what HEAD finds; so for him only what is here counts. */
function isPusherLooking({ request, access }: Exchange, { name }: Subject): boolean {
  return request.method === 'HEAD' && name !== undefined && access?.allows(name, 'content/write') === true;
}

/** 201: stored · 202 to DELETE: gone · 200: locked or unlocked. A 202 to POST or PATCH only serves a session. */
function isAcknowledged({ request, response }: Exchange): boolean {
  const { statusCode: status } = response;
  return status === 200 || status === 201 || (request.method === 'DELETE' && status === 202);
}

/** The client broke off: what arrived is kept, and nobody is left to answer. */
function isAbort(error: unknown, request: IncomingMessage, response: ServerResponse): boolean {
  return error instanceof ClientGone || request.errored === error || response.destroyed;
}

function splitOnce(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}

/** With the first request that needs it: pulls and pushes do without its memory. */
async function loadExpress(serve: RequestListener): Promise<RequestListener> {
  const { default: express } = await import('express');
  const app = express();
  app.disable('x-powered-by');
  app.use(serve);
  return app;
}
