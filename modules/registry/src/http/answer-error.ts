import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { RegistryError, type ErrorCode } from '../errors.ts';
import type { Log } from '../status/log.ts';
import { answerJson, type Headers } from './answer.ts';

/**
 * Refusals that trying again does not change. They are told as DENIED too: podman and buildah repeat a push for seconds
 * unless one of its errors is that (containers/common, `pkg/retry`); everybody else shows the first.
 */
const final: ReadonlySet<ErrorCode> = new Set(['UNSUPPORTED', 'REGISTRY_DISALLOWED_OPERATION']);

/**
 * The one place that answers an error: OCI error JSON (distribution-spec, "Error Codes").
 * What is not a RegistryError answers 500 UNKNOWN and a correlation id; its text goes to the log only.
 * An answer already under way is cut, so that nobody takes a part for the whole.
 */
export function answerError(response: ServerResponse, error: unknown, log: Log): void {
  const { req: request } = response;
  const shown = error instanceof RegistryError ? error : unknown(error, log);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { code, message, detail, retryAfterSeconds } = shown;
  // A challenge turns a refusal into an invitation: RFC 9110, 15.5.2 ties `WWW-Authenticate` to 401.
  const status = response.hasHeader('WWW-Authenticate') ? 401 : shown.status;
  const headers: Headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': Math.ceil(retryAfterSeconds) };
  const first = { code, message, ...(detail !== undefined && { detail }) };
  const errors = final.has(code) ? [first, { code: 'DENIED', message }] : [first];
  answerJson(response, status, { errors }, headers);
  // The rest of a refused body is read away: a client that is still sending gets to see the answer.
  request.resume();
}

function unknown(error: unknown, log: Log): RegistryError {
  const correlationId = randomUUID();
  log.error('A request failed for a reason that no code names.', { correlationId, error });
  return new RegistryError('UNKNOWN', { detail: { correlationId }, cause: error });
}
