import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Auth } from '../auth/auth.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Clock } from '../status/clock.ts';
import type { RequestSample } from '../status/metrics.ts';
import type { Store } from '../store/store.ts';
import type { Headers } from './answer.ts';

/**
 * Reads that were answered a moment ago, answered again without asking anybody: manifests and small blobs, for
 * callers who were just found to be allowed to read that repository. An answer holds until content changes, and ten
 * seconds at most; a permission holds until accounts change, and one second at most.
 */
export interface QuickAnswers {
  /** True: the request is answered. False: nothing was done, and it takes the long way. */
  serve(request: IncomingMessage, response: ServerResponse): boolean;
  /** Taken before a request is looked at: what was found after it may be untrue by the time it is remembered. */
  moment(): Moment;
  /** The sender of `request` may read `repository`. */
  allow(request: IncomingMessage, repository: RepositoryName, at: Moment): void;
  /** `request` was answered with 200, these headers and these bytes (also if it was a HEAD). */
  remember(request: IncomingMessage, answer: PreparedAnswer, at: Moment): void;
}

export interface Moment {
  /** `Store.generation` */
  readonly content: number;
  /** `Auth.generation` */
  readonly accounts: number;
  readonly timeMs: number;
}

export interface PreparedAnswer {
  /** The id of the row that answered. */
  readonly endpoint: string;
  readonly repository: RepositoryName;
  readonly headers: Headers;
  readonly bytes: Buffer;
}

interface Kept extends Moment {
  readonly endpoint: string;
  readonly repository: RepositoryName;
  readonly head: string[];
  /** A small one as a string, one byte a character, with which node sends head and body in one write. */
  readonly body: string | Buffer;
}

/** Of manifests and small blobs, and of larger blobs, which must not push those out. */
const answersBytes = 8 * 1024 * 1024;
const smallAnswerBytes = 64 * 1024;
/** No larger answer is kept. */
export const answerBytesLimit = 1024 * 1024;
const answerLifetimeMs = 10_000;
const permissionLifetimeMs = 1_000;
const permissionsKept = 2_000;

export function createQuickAnswers(options: {
  readonly store: Pick<Store, 'generation'>;
  readonly auth: Pick<Auth, 'generation'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Requests to any other host are not ours to answer; undefined: every host is. */
  readonly loginServer: string | undefined;
  readonly onRequest: ((sample: RequestSample) => void) | undefined;
}): QuickAnswers {
  const { store, auth, clock, loginServer, onRequest } = options;
  const [small, large] = [createCache(), createCache()];
  const permissions = new LRUCache<string, Moment>({ max: permissionsKept });

  return {
    serve(request, response) {
      const url = request.url ?? '';
      const kept = small.get(url) ?? large.get(url);
      if (!kept || isSpecial(request)) return false;
      const now = moment();
      if (kept.content !== now.content || !isWithin(kept, now, answerLifetimeMs)) return false;
      const allowed = permissions.get(permissionKey(request, kept.repository));
      if (allowed?.accounts !== now.accounts || !isWithin(allowed, now, permissionLifetimeMs)) return false;
      const startedMs = performance.now();
      const { socket, method = 'GET' } = request;
      const sentBefore = socket.bytesWritten;
      response.writeHead(200, kept.head);
      if (method === 'HEAD') response.end();
      else if (typeof kept.body === 'string') response.end(kept.body, 'latin1');
      else response.end(kept.body);
      onRequest?.({
        endpoint: kept.endpoint,
        method,
        status: 200,
        seconds: (performance.now() - startedMs) / 1000,
        bytesSent: socket.bytesWritten - sentBefore,
        bytesReceived: 0,
      });
      return true;
    },

    moment,

    allow(request, repository, at) {
      permissions.set(permissionKey(request, repository), at);
    },

    remember(request, { endpoint, repository, headers, bytes }, at) {
      if (bytes.length > answerBytesLimit || isSpecial(request)) return;
      const lines = { 'Docker-Distribution-Api-Version': 'registry/2.0', ...headers, 'Content-Length': bytes.length };
      const isSmall = bytes.length <= smallAnswerBytes;
      (isSmall ? small : large).set(request.url ?? '', {
        endpoint,
        repository,
        head: Object.entries(lines).flatMap(([name, value]) => [name, String(value)]),
        body: isSmall ? bytes.toString('latin1') : bytes,
        ...at,
      });
    },
  };

  function moment(): Moment {
    return { content: store.generation, accounts: auth.generation, timeMs: clock.now().getTime() };
  }

  /** Whoever sent this, asked for by this name; which name counts depends on the peer, a trusted proxy or not. */
  function permissionKey({ headers, socket }: IncomingMessage, repository: RepositoryName): string {
    const names = [socket.remoteAddress, headers.host, headers['x-forwarded-host']];
    const host = loginServer === undefined ? '' : names.map(String).join(' ');
    return `${repository} ${host} ${headers.authorization ?? ''}`;
  }
}

function createCache(): LRUCache<string, Kept> {
  return new LRUCache({
    maxSize: answersBytes,
    sizeCalculation: ({ body, head }) => body.length + head.length * 64,
  });
}

/** A clock that was set back ends it as well. */
function isWithin({ timeMs }: Moment, now: Moment, lifetimeMs: number): boolean {
  return now.timeMs >= timeMs && now.timeMs - timeMs < lifetimeMs;
}

/** Conditions, parts and anything but a plain read. */
function isSpecial({ method, headers }: IncomingMessage): boolean {
  return (
    (method !== 'GET' && method !== 'HEAD') ||
    headers.range !== undefined ||
    headers['if-none-match'] !== undefined ||
    headers.authorization === undefined
  );
}
