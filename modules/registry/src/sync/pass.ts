import type { ImageSource } from '../oci/registry.ts';
import type { Change, Store } from '../store/store.ts';
import type { ParentRegistry } from '../parent/parent.ts';
import type { Mode, RepositoryRule } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { CopyOptions } from './copy-image.ts';
import type { Details } from './details.ts';
import type { PassProgress } from './progress.ts';
import type { Removals } from './removals.ts';

/** What a pass needs of the store. */
export type PassStore = Pick<
  Store,
  | keyof ImageSource
  | 'replica'
  | 'outbox'
  | 'describeRepositories'
  | 'describeRepository'
  | 'describeTags'
  | 'describeTag'
  | 'describeManifest'
>;

/** What the parts of one pass share. */
export interface Pass {
  readonly store: PassStore;
  readonly parent: ParentRegistry;
  readonly mode: Mode;
  readonly rules: readonly RepositoryRule[];
  readonly messageTtlMs: number;
  readonly concurrency: number;
  /** Looks for new referrers of everything, not only of what has come lately, and for blobs that are lost. */
  readonly thorough: boolean;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  readonly transfers: CopyOptions['transfers'];
  readonly details: Details;
  readonly progress: PassProgress;
  readonly removals: Removals;
  /**
   * Takes note of an error that concerns `repository` (undefined: the pass). Throws when the pass should end with it;
   * otherwise the rest goes on and the pass ends as Failed.
   */
  failed(error: unknown, repository?: string): Promise<void>;
}

/** What still waits in the outbox, by repository and tag. */
export interface PendingChanges {
  readonly repositories: ReadonlySet<string>;
  hasTag(repository: string, tag: string): boolean;
  /** Whether this manifest is still to be deleted at the parent. */
  hasDelete(repository: string, digest: string): boolean;
}

export async function pendingChanges(outbox: AsyncIterable<Change>): Promise<PendingChanges> {
  const repositories = new Set<string>();
  const tags = new Set<string>();
  const deletes = new Set<string>();
  for await (const { action, repository, digest, tag } of outbox) {
    repositories.add(repository);
    if (tag !== undefined) tags.add(`${repository}:${tag}`);
    if (action === 'delete') deletes.add(`${repository}@${digest}`);
  }
  return {
    repositories,
    hasTag: (repository, tag) => tags.has(`${repository}:${tag}`),
    hasDelete: (repository, digest) => deletes.has(`${repository}@${digest}`),
  };
}
