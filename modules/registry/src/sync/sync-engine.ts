import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { ChildReport, ParentRegistry } from '../parent/parent.ts';
import type { ParentSettings, Settings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import type { Store } from '../store/store.ts';
import type { ReadableBlob } from './arriving-blob.ts';
import type { Link } from './link.ts';
import type { Preview } from './preview.ts';

export interface SyncEngineOptions {
  readonly store: Store;
  readonly connect: (parent: ParentSettings) => ParentRegistry;
  readonly clock: Clock;
  readonly log: Log;
  /** Called at each meaningful change; the listener coalesces. */
  readonly onStatus?: (status: SyncStatus) => void;
  /** All that `recover` asked for is here again. */
  readonly onRecovered?: () => void;
  /** A blob begins to arrive for an image that comes later; the result is called at its end. Nothing but a hint. */
  readonly onArriving?: (blob: ArrivingBlob) => () => void;
  /** How this registry is, for a parent of our kind; without it nothing is told. */
  readonly describe?: () => ChildReport;
  /** 0 to 1; default Math.random. */
  readonly random?: () => number;
}

/** Keeps this registry and its parent the same, as far as rules, windows and the link allow. */
export interface SyncEngine {
  /** Takes new settings into force. A change of what is to be synced, or with whom, leads to a pass at once. */
  apply(settings: Settings, options: { readonly active: boolean }): void;
  /** Something was put into the outbox: carries it up now if the window is open. */
  wake(): void;
  /**
   * An operator asks for a full pass, also outside a window; not started while one runs or none may run.
   * `confirmRemoval`: it removes what is gone, however much that is.
   */
  resync(options?: { readonly confirmRemoval?: boolean }): Promise<{ readonly started: boolean }>;
  /** What a pass would do now, looked up for as long as `timeoutMs`; undefined: none may run now, or one of these runs. */
  preview(options: { readonly timeoutMs: number }): Promise<Preview | undefined>;
  /**
   * Something that was here is lost: the next pass compares everything, down to single blobs, and so does each after
   * it until one succeeds, over restarts. Resolves once that is remembered.
   */
  recover(): Promise<void>;
  status(): SyncStatus;
  /** What `onArriving` told and is still on its way, to be read while it arrives; who may is for the caller to check. */
  openArriving(repository: RepositoryName, digest: Digest): ReadableBlob | undefined;
  /** For fetching on demand; undefined while there is no parent, or this registry is not active. */
  link(): Link | undefined;
  /** Stops at once; what was received stays for the next start. Resolves when nothing runs any more. */
  close(): Promise<void>;
}
