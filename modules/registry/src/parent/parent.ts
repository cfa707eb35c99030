import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Cancellable, ImageSource, ImageTarget } from '../oci/registry.ts';

/** The registry above: a connected registry of ours, ACR, or any OCI registry. */
export interface ParentRegistry extends ImageSource, ImageTarget {
  readonly endpoint: string;
  /**
   * Waits for something to change in the repositories we may see, after `after`; without it the answer comes at once
   * and tells where to begin. Undefined: this parent has no message feed. Throws ParentError.
   */
  readMessages(options: {
    readonly after?: number;
    readonly signal: AbortSignal;
  }): Promise<MessageFeedAnswer | undefined>;
  /** Undefined: it is not there. Throws ParentError, `broken` where the parent does not tell the size. */
  statBlob(
    repository: RepositoryName,
    digest: Digest,
    options?: Cancellable,
  ): Promise<{ readonly size: number } | undefined>;
  /** Asks `/v2/` with credentials. Throws ParentError. */
  ping(options?: { readonly signal?: AbortSignal }): Promise<void>;
  close(): Promise<void>;
}

/** `head`: where to go on · `changed`: whether something did. */
export interface MessageFeedAnswer {
  readonly head: number;
  readonly changed: boolean;
}

/**
 * Why the parent did not do what was asked.
 * `unreachable`: no answer (refused, DNS, TLS, timeout, cut, a proxy's 502 or 504) · `unauthorized`: 401 with our credentials ·
 * `denied`: 403 or 405 · `throttled`: 429 after the client's own patience ended · `refused`: another 4xx, not to be retried ·
 * `broken`: 5xx, or an answer that makes no sense (bad JSON, wrong digest, short body).
 */
export type ParentFailure = 'unreachable' | 'unauthorized' | 'denied' | 'throttled' | 'refused' | 'broken';

export class ParentError extends Error {
  readonly failure: ParentFailure;
  /** HTTP status where there was an answer. */
  readonly status: number | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    failure: ParentFailure,
    message: string,
    options: { cause?: unknown; status?: number; retryAfterSeconds?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'ParentError';
    this.failure = failure;
    this.status = options.status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
