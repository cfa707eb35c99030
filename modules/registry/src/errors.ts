/**
 * Every error a client can see: code -> HTTP status and message.
 * Codes and meanings: OCI distribution-spec 1.1 "Error Codes"; those below the line are ours or ACR's.
 */
export const errorTable = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: { status: 400, message: 'manifest references a manifest or blob unknown to registry' },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  // More than the two words docker knows it by: those alone make docker try again for 50 seconds.
  UNAUTHORIZED: { status: 401, message: 'authentication required: log in with a client token' },
  DENIED: { status: 403, message: 'Insufficient scopes to perform the operation' },
  UNSUPPORTED: { status: 405, message: 'This operation is not allowed on this registry' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  // ---- beyond the specification
  TAG_INVALID: { status: 400, message: 'invalid tag' },
  RANGE_INVALID: { status: 416, message: 'invalid content range' },
  MANIFEST_TOO_LARGE: { status: 413, message: 'manifest exceeds the size limit' },
  // ACR's own words for a lock (Azure/acr-cli#70).
  REGISTRY_DISALLOWED_OPERATION: {
    status: 405,
    message: 'The operation is disallowed on this registry, repository or image',
  },
  ATTRIBUTES_INVALID: { status: 400, message: 'changeable attributes must be true or false' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'n must be a whole number that is not negative' },
  NOT_FOUND: { status: 404, message: 'no such endpoint' },
  HOST_UNKNOWN: { status: 421, message: 'this registry does not answer to this host name' },
  INACTIVE: { status: 503, message: 'this connected registry is not active' },
  ALREADY_ACTIVATED: { status: 409, message: 'this connected registry is already activated by another instance' },
  NOT_ACTIVATED: { status: 409, message: 'this instance is not activated at its parent' },
  ACTIVATION_REFUSED: { status: 403, message: 'this registry does not take this child as it is' },
  GATEWAY_INVALID: { status: 400, message: 'not what a connected registry tells its parent' },
  STORAGE_FULL: { status: 507, message: 'no space left for this content' },
  UNAVAILABLE: { status: 503, message: 'service unavailable' },
  UNKNOWN: { status: 500, message: 'unknown error' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof errorTable;

/** The one error of this program that a client is meant to see. Throw a code, never a status. */
export class RegistryError extends Error {
  readonly code: ErrorCode;
  /** What the client could not know: the offending value, the rule, the digest that was computed. Never a secret. */
  readonly detail: unknown;
  /** Seconds, sent as `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    options: { message?: string; detail?: unknown; cause?: unknown; retryAfterSeconds?: number } = {},
  ) {
    super(options.message ?? errorTable[code].message, { cause: options.cause });
    this.name = 'RegistryError';
    this.code = code;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return errorTable[this.code].status;
  }
}
