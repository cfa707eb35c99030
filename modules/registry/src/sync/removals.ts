import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { RemovalSettings } from '../settings/settings.ts';
import type { Log } from '../status/log.ts';
import type { Store } from '../store/store.ts';
import type { Details } from './details.ts';
import { isTooMuch, type RemovalGuard } from './removal-guard.ts';

/** What a pass has found to be gone. Nothing goes before all of it is known: too much at once waits for a person. */
export interface Removals {
  tag(repository: RepositoryName, tag: Tag, digest: Digest): void;
  /** One that no rule names any more, with so many tags. */
  repository(repository: RepositoryName, tags: number): void;
  /** Removes what was found so far, or, where that is too much, nothing, and reports it. */
  carryOut(): Promise<void>;
  /** Something was too much. */
  readonly held: boolean;
}

export interface RemovalLimits {
  readonly guard: RemovalGuard;
  readonly limits: RemovalSettings;
  /** An operator wants it to go, however much it is. */
  readonly confirmed: boolean;
}

export function createRemovals(
  options: RemovalLimits & {
    readonly store: Pick<Store, 'replica' | 'describeTag' | 'describeRepositories' | 'deleteRepository'>;
    readonly details: Details;
    readonly log: Log;
  },
): Removals {
  const { store, guard, limits, confirmed, details, log } = options;
  let tags: { readonly repository: RepositoryName; readonly tag: Tag; readonly digest: Digest }[] = [];
  let repositories: { readonly repository: RepositoryName; readonly tags: number }[] = [];
  let held = false;

  async function remove(): Promise<void> {
    for (const { repository, tag, digest } of tags) {
      // What was pointed elsewhere meanwhile is not what was found to be gone.
      if ((await store.describeTag(repository, tag))?.digest !== digest) continue;
      if (!(await store.replica.deleteTag(repository, tag))) continue;
      log.info('A tag is gone from the parent, or no rule takes it any more, and was removed.', { repository, tag });
    }
    for (const { repository } of repositories) {
      await store.deleteRepository(repository);
      log.info('A repository is no longer listed and was removed.', { repository });
    }
  }

  return {
    get held() {
      return held;
    },
    tag(repository, tag, digest) {
      tags.push({ repository, tag, digest });
    },
    repository(repository, count) {
      repositories.push({ repository, tags: count });
    },
    async carryOut() {
      const count = tags.length + sum(repositories.map((found) => Math.max(1, found.tags)));
      if (count > 0) {
        const total = await tagsHeld(store);
        const recent = guard.recent();
        if (!confirmed && isTooMuch({ tags: count, recent, held: total }, limits)) {
          held = true;
          const what = heldText({ tags: tags.length, repositories: repositories.length, recent, total });
          details.report('REMOVAL_HELD', '', what);
        } else {
          await remove();
          if (confirmed) await guard.forget();
          else await guard.note(count);
        }
      }
      tags = [];
      repositories = [];
    },
  };
}

export async function tagsHeld({ describeRepositories }: Pick<Store, 'describeRepositories'>): Promise<number> {
  let total = 0;
  for await (const { tags } of describeRepositories()) total += tags;
  return total;
}

function heldText(counts: {
  readonly tags: number;
  readonly repositories: number;
  readonly recent: number;
  readonly total: number;
}): string {
  const { tags, repositories, recent, total } = counts;
  const before = recent > 0 ? ` after ${recent} tags that went within a day` : '';
  return (
    `${tags} tags are gone from the parent or no rule takes them, and ${repositories} repositories are no longer listed${before}, ` +
    `of ${total} tags held; they stay until the direct method resync is called with {"confirmRemoval": true}`
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
