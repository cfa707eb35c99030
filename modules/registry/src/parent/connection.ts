import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import type { Agent, Dispatcher } from 'undici';
import { connectionFailure, isTrustFailure } from './failure.ts';
import type { PacedBody } from './paced-body.ts';
import type { Patience } from './patience.ts';
import type { Trust } from './trust.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | PacedBody;
  readonly answerTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** An answer whose body is still to be read, or dumped; until then it holds a socket. */
export interface OpenAnswer {
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Dispatcher.ResponseData['body'];
}

export interface Connection {
  /** One request, one answer, whatever its status. Throws ParentError, or the signal's reason. */
  exchange(request: HttpRequest): Promise<OpenAnswer>;
  /** Destroys every socket; what is under way fails. */
  close(): Promise<void>;
}

export function createConnection(options: {
  readonly trust: Trust;
  readonly patience: Patience;
  readonly userAgent: string;
}): Connection {
  const { trust, patience, userAgent } = options;
  let agent: Promise<Agent> | undefined;
  let closed = false;

  async function openAgent(): Promise<Agent> {
    // Loaded with the first request: 8 MB and 60 ms that a start does not need. It is CommonJS: bundled it has no names.
    const [{ default: undici }, secureContext] = await Promise.all([import('undici'), trust.context()]);
    return new undici.Agent({
      connect: { timeout: patience.connectTimeoutMs, ...(secureContext && { secureContext }) },
      headersTimeout: patience.answerTimeoutMs,
      bodyTimeout: patience.idleTimeoutMs,
    });
  }

  /** The agent of the moment; one that could not be opened is tried anew by the next request. */
  function currentAgent(): Promise<Agent> {
    if (closed) throw new Error('the client is closed');
    const opening = (agent ??= openAgent());
    opening.catch(() => {
      if (agent === opening) agent = undefined;
    });
    return opening;
  }

  /** Whether another agent, with other roots, has taken the place of `used`. */
  async function isReplaced(used: Promise<Agent>): Promise<boolean> {
    if (agent === used && (await trust.refresh()) && agent === used) {
      agent = undefined;
      void used.then((old) => old.close());
    }
    return agent !== used;
  }

  async function send(dispatcher: Agent, request: HttpRequest): Promise<OpenAnswer> {
    const { method, url, headers, body, answerTimeoutMs, signal } = request;
    const answer = await dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: { 'user-agent': userAgent, ...headers, ...(isPaced(body) && { 'content-length': String(body.length) }) },
      body: isPaced(body) ? Readable.from(body) : (body ?? null),
      signal: signal ?? null,
      ...(answerTimeoutMs !== undefined && { headersTimeout: answerTimeoutMs }),
    });
    // A cut body is told to whoever reads it; a body nobody reads must not end the process.
    answer.body.on('error', () => undefined);
    return { url, status: answer.statusCode, headers: answer.headers, body: answer.body };
  }

  return {
    async exchange(request) {
      request.signal?.throwIfAborted();
      try {
        const used = currentAgent();
        try {
          return await send(await used, request);
        } catch (error) {
          if (!isTrustFailure(error) || !(await isReplaced(used))) throw error;
        }
        return await send(await currentAgent(), request);
      } catch (error) {
        request.signal?.throwIfAborted();
        throw connectionFailure(error, request.url.host);
      }
    },
    async close() {
      closed = true;
      const opened = await agent?.catch(() => undefined);
      await opened?.destroy();
    },
  };
}

function isPaced(body: HttpRequest['body']): body is PacedBody {
  return typeof body === 'object' && Symbol.asyncIterator in body;
}
