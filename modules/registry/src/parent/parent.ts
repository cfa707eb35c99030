import type { Readable } from 'node:stream';
import type { Digest } from '../oci/digest.ts';
import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { RepositoryPattern } from '../oci/pattern.ts';
import type { Cancellable, ImageSource, ImageTarget } from '../oci/registry.ts';
import type { ChildrenSummary } from '../status/reported-properties.ts';
import type { ConnectionState } from '../status/sync-status.ts';
import type { Mode } from '../settings/settings.ts';

/** The registry above: a connected registry of ours, ACR, or any OCI registry. */
export interface ParentRegistry extends ImageSource, ImageTarget {
  readonly endpoint: string;
  /** Grows with each answer that somebody could go on with: the parent is there. */
  readonly answers: number;
  /**
   * What changed after `after` in the repositories we may see; with nothing new the answer waits up to `waitSeconds`
   * (0 when absent) for it. Without `after` it comes at once and tells where to begin.
   * With `arriving` (0, or the `arriving.head` of the last answer) hints are told, too, and end the wait.
   * Undefined: this parent has no message feed. Throws ParentError; `held`: we are not its active instance.
   */
  readMessages(options: {
    readonly after?: FeedCursor;
    readonly arriving?: number;
    readonly waitSeconds?: number;
    readonly signal: AbortSignal;
  }): Promise<MessageFeedAnswer | undefined>;
  /** `arriving`: also what is still on its way to a parent of our kind, which told of it; the rest comes when it comes. */
  readBlob(
    repository: RepositoryName,
    digest: Digest,
    options?: Cancellable & { readonly offset?: number; readonly arriving?: boolean },
  ): Promise<Readable | undefined>;
  /** Undefined: it is not there. Throws ParentError, `broken` where the parent does not tell the size. */
  statBlob(
    repository: RepositoryName,
    digest: Digest,
    options?: Cancellable,
  ): Promise<{ readonly size: number } | undefined>;
  /**
   * Becomes the one active instance of our name at the parent, or stays it; false where the parent has no activation.
   * Throws ParentError, `held` or `unfit` where the parent does not want us.
   */
  activate(options: {
    readonly mode: Mode;
    readonly repositories: readonly RepositoryPattern[];
    readonly signal?: AbortSignal;
  }): Promise<boolean>;
  /** Lets our name go, where this instance holds it. Throws ParentError. */
  deactivate(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Tells the parent how we are. Throws ParentError. */
  reportStatus(report: ChildReport, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Everything that was to go up is there: gives up the uploads that are unfinished still. Best effort, never rejects. */
  dropUploads(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Asks `/v2/` with credentials. Throws ParentError. */
  ping(options?: { readonly signal?: AbortSignal }): Promise<void>;
  close(): Promise<void>;
}

/** How a child is, for its parent. */
export interface ChildReport {
  readonly connectionState: ConnectionState;
  readonly inSync: boolean;
  /** ISO 8601. */
  readonly lastSync?: string;
  readonly outboxPending: number;
  /** Everybody below it in summary. */
  readonly children?: ChildrenSummary;
}

/** How far we have heard: `head` in the parent's journal of that id. */
export interface FeedCursor {
  readonly journal: string;
  readonly head: number;
}

export interface MessageFeedAnswer {
  /** Where to go on. */
  readonly cursor: FeedCursor;
  readonly messages: readonly ParentMessage[];
  /** The parent does not know any more what happened since `after`: compare afresh. */
  readonly expired: boolean;
  /** There is more than fits one answer. */
  readonly more: boolean;
  /** What is on its way to the parent; undefined: not asked for, or it does not tell. */
  readonly arriving?: { readonly head: number; readonly blobs: readonly ArrivingBlob[] };
}

/** One change at the parent. */
export interface ParentMessage {
  readonly action: 'push' | 'tag' | 'untag' | 'delete';
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly tag?: Tag;
}

/**
 * Why the parent did not do what was asked.
 * `unreachable`: no answer (refused, DNS, TLS, timeout, cut, a proxy's 502 or 504) · `unauthorized`: 401 with our credentials ·
 * `denied`: 403 or 405 · `held`: another instance is active under our name · `unfit`: our mode or rules are not allowed · `throttled`: 429 after the client's own patience ended · `refused`: another 4xx, not to be retried ·
 * `broken`: 5xx, or an answer that makes no sense (bad JSON, wrong digest, short body).
 */
export type ParentFailure =
  'unreachable' | 'unauthorized' | 'denied' | 'held' | 'unfit' | 'throttled' | 'refused' | 'broken';

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
