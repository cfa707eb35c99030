import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { ImageTarget } from '../oci/registry.ts';
import type { ParentRegistry } from '../parent/parent.ts';
import type { Settings } from '../settings/settings.ts';
import type { Clock } from '../status/clock.ts';
import type { Log } from '../status/log.ts';
import type { Store } from '../store/store.ts';
import type { CopyOptions } from './copy-image.ts';
import { createDetails } from './details.ts';
import { failureOf } from './failure.ts';
import type { Pass } from './pass.ts';
import { createPassProgress } from './progress.ts';
import { pull } from './pull.ts';
import { isTooMuch, type RemovalGuard } from './removal-guard.ts';
import { tagsHeld, type Removals } from './removals.ts';

/** What a pass would do now. A type, not an interface, as it is the answer of a direct method. */
export type Preview = {
  /** Everything was looked at: nothing failed, and the time was enough. */
  readonly complete: boolean;
  readonly tags: { readonly copy: number; readonly move: number; readonly remove: number };
  /** Repositories that no rule names any more, removed with everything in them. */
  readonly repositoriesRemoved: number;
  /** The removals are too much to go without a confirmation. */
  readonly removalHeld: boolean;
  /** That would cross the link, each once. */
  readonly manifests: number;
  readonly blobs: number;
  /** Of both. */
  readonly bytes: number;
  /** Local changes that would be carried up. */
  readonly outboxPending: number;
  /** Those where something would be done, most bytes first. */
  readonly repositories: readonly PreviewRow[];
  /** Repositories with something to do that found no place in `repositories`. */
  readonly omitted: number;
  readonly problems: readonly string[];
};

type PreviewRow = {
  readonly name: string;
  readonly copy: number;
  readonly move: number;
  readonly remove: number;
  readonly bytes: number;
  /** The first few, `copy v1`, `move latest`, `remove v0`. */
  readonly tags: readonly string[];
};

/** A direct method's answer holds 128 KB; these keep it below 80. */
const [rowsLimit, tagsLimit, problemsLimit] = [50, 9, 20];
const problemLength = 300;

/**
 * Looks at everything as a pass does, by the same code, but with a target that only counts: no blob is fetched and
 * nothing changes here or at the parent. Ends early at `signal` and when the parent is gone, with what is known by then.
 */
export async function previewPass(options: {
  readonly store: Store;
  readonly parent: ParentRegistry;
  readonly settings: Settings;
  readonly guard: RemovalGuard;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Preview> {
  const { store, parent, settings, guard, signal, clock, log } = options;
  const counts = createCounts(store);
  const problems: string[] = [];
  let failures = 0;

  const note = (text: string): void => {
    failures += 1;
    if (problems.length < problemsLimit) problems.push(text.slice(0, problemLength));
  };
  const pass: Pass = {
    ...{ store: { ...readingOf(store), replica: counts.target }, parent, signal, clock, log },
    mode: settings.mode,
    rules: settings.repositories,
    messageTtlMs: 0,
    concurrency: settings.transfer.concurrency,
    thorough: true,
    transfers: counts.transfers,
    details: createDetails({ clock }),
    progress: createPassProgress({ onChange: () => undefined }),
    removals: counts.removals,
    failed(error, repository) {
      const { reach, message } = failureOf(error);
      if (reach !== 'repository') return Promise.reject(error instanceof Error ? error : new Error(message));
      note(repository === undefined ? message : `${repository}: ${message}`);
      return Promise.resolve();
    },
  };
  try {
    await parent.ping({ signal });
    await pull(pass);
  } catch (error) {
    note(failureOf(signal.aborted ? signal.reason : error).message);
  }
  const { removed, ...known } = counts.result();
  return {
    complete: failures === 0,
    ...known,
    removalHeld: isTooMuch({ tags: removed, recent: guard.recent(), held: await tagsHeld(store) }, settings.removal),
    outboxPending: (await store.outbox.pending()).count,
    problems,
  };
}

/** What a pass reads of the store. */
function readingOf(store: Store): Omit<Pass['store'], 'replica'> {
  return {
    listRepositories: (more) => store.listRepositories(more),
    listTags: (repository, more) => store.listTags(repository, more),
    listReferrers: (repository, subject, more) => store.listReferrers(repository, subject, more),
    resolveTag: (repository, tag, more) => store.resolveTag(repository, tag, more),
    findManifest: (repository, reference, more) => store.findManifest(repository, reference, more),
    readBlob: (repository, digest, more) => store.readBlob(repository, digest, more),
    describeRepositories: (more) => store.describeRepositories(more),
    describeRepository: (repository) => store.describeRepository(repository),
    describeTags: (repository, more) => store.describeTags(repository, more),
    describeTag: (repository, tag) => store.describeTag(repository, tag),
    describeManifest: (repository, digest) => store.describeManifest(repository, digest),
    outbox: store.outbox,
  };
}

/** Takes what a pass would write, and adds it up. */
function createCounts(store: Store) {
  const rows = new Map<RepositoryName, { -readonly [K in keyof PreviewRow]: PreviewRow[K] } & { tags: string[] }>();
  const manifests = new Set<string>();
  const blobs = new Set<Digest>();
  const tags = { copy: 0, move: 0, remove: 0 };
  const totals = { repositoriesRemoved: 0, manifests: 0, blobs: 0, bytes: 0 };
  let removed = 0;

  function rowOf(name: RepositoryName) {
    const row = rows.get(name) ?? { name, copy: 0, move: 0, remove: 0, bytes: 0, tags: [] };
    rows.set(name, row);
    return row;
  }

  function countTag(action: keyof typeof tags, repository: RepositoryName, tag: Tag): void {
    const row = rowOf(repository);
    tags[action] += 1;
    row[action] += 1;
    if (row.tags.length < tagsLimit) row.tags.push(`${action} ${tag}`);
  }

  function countBytes(repository: RepositoryName, sizeBytes: number): void {
    rowOf(repository).bytes += sizeBytes;
    totals.bytes += sizeBytes;
  }

  const notWritten = (): Promise<never> => Promise.reject(new Error('a dry run writes nothing'));
  const target: ImageTarget = {
    hasManifest: async (repository, digest) =>
      manifests.has(`${repository}@${digest}`) || store.replica.hasManifest(repository, digest),
    hasBlob: (repository, digest) => store.replica.hasBlob(repository, digest),
    async putManifest(repository, { digest, bytes }, { tag } = {}) {
      const key = `${repository}@${digest}`;
      const isFirst = !manifests.has(key);
      manifests.add(key);
      if (isFirst && !(await store.replica.hasManifest(repository, digest))) {
        totals.manifests += 1;
        countBytes(repository, bytes.length);
      }
      if (tag === undefined) return;
      const local = await store.describeTag(repository, tag);
      // The same digest: only what both sides agree on is written down.
      if (local?.digest !== digest) countTag(local ? 'move' : 'copy', repository, tag);
    },
    mountBlob: notWritten,
    beginBlob: notWritten,
    deleteTag: notWritten,
    deleteManifest: notWritten,
  };
  const transfers: CopyOptions['transfers'] = {
    rate: { charge: () => undefined },
    async carry({ repository, blob: { digest, size } }) {
      if (blobs.has(digest)) return 'present';
      blobs.add(digest);
      // In any repository: a blob that is here is linked, not fetched.
      if (await store.holdsBlob(digest)) return 'present';
      totals.blobs += 1;
      countBytes(repository, size);
      return 'sent';
    },
  };
  const removals: Removals = {
    held: false,
    tag(repository, tag) {
      removed += 1;
      countTag('remove', repository, tag);
    },
    repository(repository, count) {
      removed += Math.max(1, count);
      totals.repositoriesRemoved += 1;
      const row = rowOf(repository);
      row.remove += count;
      row.tags = ['remove the repository'];
    },
    carryOut: () => Promise.resolve(),
  };

  return {
    ...{ target, transfers, removals },
    result() {
      const ordered = [...rows.values()].sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
      const repositories = ordered.slice(0, rowsLimit);
      return { ...totals, tags, removed, repositories, omitted: ordered.length - repositories.length };
    },
  };
}
