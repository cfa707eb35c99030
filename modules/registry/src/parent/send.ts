import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { Access } from './access.ts';
import type { Authorizer } from './authorizer.ts';
import { parseChallenges } from './challenge.ts';
import type { Connection, HttpRequest, OpenAnswer } from './connection.ts';
import { answerFailure, isTrustFailure } from './failure.ts';
import type { PacedBody } from './paced-body.ts';
import { ParentError } from './parent.ts';
import { delayBeforeRetry, type Patience } from './patience.ts';
import { readBody } from './read-body.ts';
import { redirectLimit, redirectTarget } from './redirect.ts';

export interface Question {
  readonly method: HttpRequest['method'];
  /** Path and query at the parent, or a whole URL it gave. */
  readonly to: string | URL;
  readonly access: Access;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | PacedBody;
  /** The statuses the asker knows what to do with; every other one throws. */
  readonly understands: readonly number[];
  readonly answerTimeoutMs?: number;
  /** Once only: the asker knows better how to go on after a failure. */
  readonly once?: boolean;
  /** A `Retry-After` is for the asker to know, and is not waited for here. */
  readonly isUrgent?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  /** Where it came from, after redirects. */
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Authorised, redirected, repeated while that may help. Throws ParentError, or the signal's reason. */
export interface Sender {
  readonly parent: URL;
  /** So many answers came that their askers could go on with. */
  readonly answers: number;
  /** An answer read whole: at most 32 MiB. */
  ask(question: Question): Promise<Answer>;
  /** An answer whose body is still to be read; a cut of it is the asker's. */
  open(question: Question): Promise<OpenAnswer>;
  /** Does `action` again while its ParentError may pass, with growing waits between. */
  persist<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

const bodyBytesLimit = 32 * 1024 * 1024;
const retriedStatuses = new Set([408, 429, 500, 502, 503, 504]);

export function createSender(options: {
  readonly parent: URL;
  readonly connection: Connection;
  readonly authorizer: Authorizer;
  readonly patience: Patience;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the waits between attempts. */
  readonly closing: AbortSignal;
}): Sender {
  const { parent, connection, authorizer, patience, clock, log, closing } = options;
  let answers = 0;

  async function attempt(question: Question): Promise<OpenAnswer> {
    let url = new URL(question.to, parent);
    let learned = false;
    for (let redirects = 0; ;) {
      const atHome = url.origin === parent.origin;
      const used = atHome ? await authorizer.authorization(question.access, question.signal) : undefined;
      const answer = await connection.exchange(requestFor(question, url, used));
      if (answer.status === 401 && atHome && !learned) {
        learned = authorizer.learn(question.access, answer.headers['www-authenticate'], used);
        if (learned) {
          await discard(answer);
          continue;
        }
      }
      const target = redirectTarget(answer.status, answer.headers.location, url);
      if (target && redirects < redirectLimit) {
        await discard(answer);
        url = target;
        redirects += 1;
        continue;
      }
      if (!question.understands.includes(answer.status)) throw await refusal(question, answer);
      answers += 1;
      return answer;
    }
  }

  async function refusal(question: Question, answer: OpenAnswer): Promise<ParentError> {
    const { url, status, headers } = answer;
    const failure = answerFailure(
      {
        // The query may hold a signature of the storage behind the parent.
        request: `${question.method} ${url.host}${url.pathname}`,
        status,
        retryAfter: headers['retry-after'],
        body: await readBody(answer.body, url.host, bodyBytesLimit),
        foreign: url.origin !== parent.origin,
      },
      clock.now(),
    );
    return failure.failure === 'unauthorized' ? explain(failure, headers['www-authenticate']) : failure;
  }

  /** A token the parent gave for our credentials, and then found too weak, is a matter of rights (RFC 6750, 3.1). */
  function explain(failure: ParentError, challenge: string | string[] | undefined): ParentError {
    const isWeak = parseChallenges(challenge).some(
      ({ parameters }) => parameters.get('error') === 'insufficient_scope',
    );
    const [kind, reason] = isWeak
      ? (['denied', 'the sync token may not do this'] as const)
      : (['unauthorized', `the parent refused ${authorizer.who}`] as const);
    return new ParentError(kind, `${failure.message}: ${reason}`, { status: 401 });
  }

  async function persist<T>(action: () => Promise<T>, signal?: AbortSignal, isUrgent = false): Promise<T> {
    for (let count = 1; ; count += 1) {
      try {
        return await action();
      } catch (error) {
        closing.throwIfAborted();
        if (!(error instanceof ParentError) || !mayPass(error)) throw error;
        if (isUrgent && error.retryAfterSeconds !== undefined) throw error;
        const delayMs = delayBeforeRetry(patience, count, error.retryAfterSeconds, Math.random());
        if (delayMs === undefined) throw error;
        log.debug('asking the parent again', { reason: error.message, attempt: count + 1, delayMs });
        await clock.wait(delayMs, signal ? AbortSignal.any([closing, signal]) : closing);
      }
    }
  }

  async function read(question: Question): Promise<Answer> {
    const { url, status, headers, body } = await attempt(question);
    try {
      return { url, status, headers, body: await readBody(body, url.host, bodyBytesLimit) };
    } catch (error) {
      question.signal?.throwIfAborted();
      throw error;
    }
  }

  return {
    parent,
    get answers() {
      return answers;
    },
    persist,
    open: (question) => (question.once ? attempt(question) : persist(() => attempt(question), question.signal)),
    ask: (question) =>
      question.once ? read(question) : persist(() => read(question), question.signal, question.isUrgent),
  };
}

function requestFor(question: Question, url: URL, authorization: string | undefined): HttpRequest {
  const { method, headers, body, answerTimeoutMs, signal } = question;
  return {
    method,
    url,
    headers: { ...headers, ...(authorization !== undefined && { authorization }) },
    ...(body && { body }),
    ...(answerTimeoutMs !== undefined && { answerTimeoutMs }),
    ...(signal && { signal }),
  };
}

/** Whether the same request may succeed a little later. */
function mayPass(error: ParentError): boolean {
  if (error.status !== undefined) return retriedStatuses.has(error.status);
  return error.failure === 'unreachable' && !isTrustFailure(error.cause);
}

/** Frees the socket of an answer nobody reads. */
async function discard({ body }: OpenAnswer): Promise<void> {
  await body.dump().catch(() => undefined);
}
