import { ParentError, type ParentFailure } from './parent.ts';
import { parseRetryAfter } from './patience.ts';

/** OpenSSL's and Node's reasons not to trust a certificate. */
const trustCodes = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

export function isTrustFailure(error: unknown): boolean {
  return trustCodes.has(codeOf(error));
}

/** What went wrong before there was a whole answer, in words an operator can act on. */
export function connectionFailure(cause: unknown, host: string): ParentError {
  if (cause instanceof ParentError) return cause;
  const code = codeOf(cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  // Named so by undici's parser, mostly without a code.
  if (cause instanceof Error && cause.name === 'HTTPParserError')
    return new ParentError('broken', `${host} does not answer in HTTP: ${reason}`, { cause });
  return new ParentError('unreachable', reasonText(code, host, reason), { cause });
}

function reasonText(code: string, host: string, reason: string): string {
  if (trustCodes.has(code)) return `the certificate of ${host} is not trusted: ${reason}`;
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} is not known to DNS (${code})`;
    case 'ECONNREFUSED':
      return `${host} refused the connection`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `there is no route to ${host} (${code})`;
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return `${host} does not speak TLS on this port; should the parent protocol be http?`;
    case 'UND_ERR_CONNECT_TIMEOUT':
      return `${host} did not take the connection in time`;
    case 'UND_ERR_HEADERS_TIMEOUT':
      return `${host} did not answer in time`;
    case 'UND_ERR_BODY_TIMEOUT':
      return `${host} stopped sending in the middle of an answer`;
    default:
      return `the connection to ${host} broke: ${reason}`;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

export interface BadAnswer {
  /** Such as `GET parent.example/v2/plant/hello/tags/list`. */
  readonly request: string;
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: Buffer;
  /** The answer came from a host the parent redirected to. */
  readonly foreign: boolean;
}

/** An answer nobody can go on with. Carries the parent's own code and message (distribution-spec 1.1, "Error Codes"). */
export function answerFailure(answer: BadAnswer, now: Date): ParentError {
  const { request, status, body, foreign } = answer;
  const errors = ociErrors(body);
  const [first] = errors;
  const said = first ? `${first.code} ${first.message}`.trim() : statusText(status);
  const retryAfterSeconds = parseRetryAfter(answer.retryAfter, now);
  return new ParentError(failureFor(status, first?.code, foreign), `${request}: ${status} ${said}`, {
    status,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

function failureFor(status: number, code: string | undefined, foreign: boolean): ParentFailure {
  if (status === 429) return 'throttled';
  // A proxy answers in place of a parent that does not: RFC 9110, 15.6.3 and 15.6.5.
  if ((status === 502 || status === 504) && !foreign) return 'unreachable';
  // A redirect target knows nothing of our rights: what it refuses is an expired or wrong redirect.
  if (status < 400 || status >= 500 || foreign) return 'broken';
  if (status === 401) return 'unauthorized';
  if (status === 403 || status === 405 || code === 'UNSUPPORTED' || code === 'DENIED') return 'denied';
  return 'refused';
}

function statusText(status: number): string {
  if (status === 502 || status === 504) return 'the proxy before the parent gets no answer from it';
  if (status === 429) return 'the parent asks to slow down';
  if (status === 503) return 'the parent, or a proxy before it, is not available for the moment';
  if (status === 413) return 'the parent, or a proxy before it, does not take content of this size';
  if (status === 507) return 'the parent has no space left';
  return '';
}

/** The `errors` of an OCI error body; empty for anything else. Remote text is shortened and kept to one line. */
export function ociErrors(body: Buffer): { readonly code: string; readonly message: string }[] {
  let document: unknown;
  try {
    document = JSON.parse(body.toString());
  } catch {
    return [];
  }
  if (typeof document !== 'object' || document === null || !('errors' in document)) return [];
  if (!Array.isArray(document.errors)) return [];
  return document.errors
    .filter((item: unknown): item is Record<string, unknown> => typeof item === 'object' && item !== null)
    .map(({ code, message }) => ({ code: oneLine(code), message: oneLine(message) }));
}

function oneLine(text: unknown): string {
  return typeof text === 'string' ? text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 300) : '';
}
