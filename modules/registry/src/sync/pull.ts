import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { isIndex } from '../oci/media-types.ts';
import { isDigest, type RepositoryName, type Tag } from '../oci/names.ts';
import type { ImageSource, TagEntry } from '../oci/registry.ts';
import { ruleFor, wantsTag } from '../settings/repository-rules.ts';
import type { RepositoryRule } from '../settings/settings.ts';
import type { TagRecord } from '../store/descriptions.ts';
import { copyImage } from './copy-image.ts';
import { forEach } from './for-each.ts';
import { pendingChanges, type Pass, type PassStore, type PendingChanges } from './pass.ts';
import { decideTag, planRepositories, type PlannedRepository } from './plan.ts';
import type { RepositoryRow } from './progress.ts';

/** Brings down what the rules ask for; then, on a ReadOnly registry, takes out what is gone or no longer named. */
export async function pull(pass: Pass): Promise<void> {
  const { store, parent, rules, signal, concurrency } = pass;
  const pending = await pendingChanges(store.outbox.read());
  try {
    await forEach(planRepositories({ rules, parent, store, signal }), concurrency, ({ repository, rule }) =>
      pullRepository(pass, pending, repository, rule),
    );
  } catch (error) {
    signal.throwIfAborted();
    await pass.failed(error);
  }
  if (pass.mode === 'ReadOnly') await findDelisted(pass, pending);
  await pass.removals.carryOut();
}

async function pullRepository(
  pass: Pass,
  pending: PendingChanges,
  repository: RepositoryName,
  rule: RepositoryRule,
): Promise<void> {
  const { parent, signal } = pass;
  const row = pass.progress.repository(repository);
  try {
    const { listed, brokenBy } = await listTags(parent, repository, signal);
    const onParent = new Set(listed.map(({ tag }) => tag));
    const allTags = brokenBy ? undefined : onParent;
    const wanted = listed.filter(({ tag }) => wantsTag(rule, tag));
    row.tagsFound(wanted.length);
    await forEach(wanted, imagesAtOnce(pass), async (entry) => {
      try {
        await pullTag(pass, pending, repository, rule, entry, allTags);
        row.tagInSync();
      } catch (error) {
        await noteFailure(pass, row, repository, error);
      }
    });
    if (brokenBy) throw brokenBy;
    if (pass.mode === 'ReadOnly') await findGoneTags(pass, pending, { repository, rule }, onParent);
  } catch (error) {
    await noteFailure(pass, row, repository, error);
  }
  row.end();
}

/** In one repository. Where small contents come together, each image more makes an answer longer, not another question. */
export function imagesAtOnce({ parent, concurrency }: Pick<Pass, 'parent' | 'concurrency'>): number {
  return parent.readSmallBlob ? concurrency * 4 : concurrency;
}

/** What was listed before it broke off is good; what is missing then says nothing. */
async function listTags(parent: ImageSource, repository: RepositoryName, signal: AbortSignal) {
  const listed: TagEntry[] = [];
  try {
    for await (const entry of parent.listTags(repository, { signal })) listed.push(entry);
    return { listed };
  } catch (error) {
    signal.throwIfAborted();
    return { listed, brokenBy: error instanceof Error ? error : new Error(String(error)) };
  }
}

export async function noteFailure(
  pass: Pass,
  row: RepositoryRow,
  repository: RepositoryName,
  error: unknown,
): Promise<void> {
  pass.signal.throwIfAborted();
  row.fail(error instanceof Error ? error.message : String(error));
  await pass.failed(error, repository);
}

export async function pullTag(
  pass: Pass,
  pending: PendingChanges,
  repository: RepositoryName,
  rule: RepositoryRule,
  { tag, digest: listed, hasReferrers }: TagEntry,
  allTags?: ReadonlySet<Tag>,
): Promise<void> {
  const { store, parent, mode, signal } = pass;
  const local = await store.describeTag(repository, tag);
  // What is new here will be needed: asked for by tag, it comes with its digest.
  const isAsked = listed === undefined && !local;
  const manifest = isAsked ? await parent.findManifest(repository, tag, { signal }) : undefined;
  const digest = listed ?? (isAsked ? manifest?.digest : await parent.resolveTag(repository, tag, { signal }));
  if (digest === undefined || pending.hasDelete(repository, digest)) return;
  const decision = decideTag({ mode, parent: digest, local, pending: pending.hasTag(repository, tag) });
  if (decision === 'conflict' && local) reportConflict(pass, repository, tag, local.digest, digest);
  if (decision === 'conflict' || decision === 'keep') return;
  const isFirst = decision === 'copy' || pass.thorough;
  const mayHaveNew = isFirst || (local !== undefined && isFresh(local, pass.clock.now()));
  const referrers = mayHaveNew && hasReferrers !== false;
  if (!isFirst && !referrers && (await isWhole(store, repository, digest))) return;
  const { outcome } = await copyImage(
    manifestsFrom(store, parent),
    store.replica,
    {
      repository,
      reference: digest,
      ...(manifest && { manifest }),
      allTags,
      platforms: rule.platforms,
      referrers,
      childReferrers: isFirst,
      lostBlobs: pass.thorough,
      ...(decision === 'copy' && { tag, mayTag: () => isUntouched(store, repository, tag, digest, local) }),
    },
    { ...pass, progress: pass.progress.transfersOf(repository) },
  );
  if (outcome === 'missing') {
    throw new RegistryError('MANIFEST_UNKNOWN', {
      message: `the parent lists ${tag} as ${digest} but does not have it`,
    });
  }
}

/** An image that is here is whole; of an index, children may be wanted now that were not. */
async function isWhole(store: PassStore, repository: RepositoryName, digest: Digest): Promise<boolean> {
  const held = await store.findManifest(repository, digest);
  return held !== undefined && !isIndex(held.mediaType);
}

/** An image is signed soon after it was pushed, or late: one question a tag and pass would be for nothing then. */
export const freshForMs = 3_600_000;

function isFresh({ updated }: TagRecord, now: Date): boolean {
  return Math.abs(now.getTime() - updated.getTime()) < freshForMs;
}

/** What a client did since the pass began wins, a push and a removal alike; the next pass compares again. */
export async function isUntouched(
  store: PassStore,
  repository: RepositoryName,
  tag: Tag,
  digest: Digest,
  before: TagRecord | undefined,
): Promise<boolean> {
  const now = await store.describeTag(repository, tag);
  if (before?.digest !== now?.digest || before?.updated.getTime() !== now?.updated.getTime()) return false;
  if ((await store.outbox.pending()).count === 0) return true;
  const pending = await pendingChanges(store.outbox.read());
  return !pending.hasTag(repository, tag) && !pending.hasDelete(repository, digest);
}

/** Both sides moved the tag. The local one stays; the other can still be pulled from the parent by digest. */
export function reportConflict(
  { details, log }: Pick<Pass, 'details' | 'log'>,
  repository: RepositoryName,
  tag: Tag,
  local: Digest,
  parent: Digest,
): void {
  log.warn('A tag was changed here and at the parent; the local change is kept.', { repository, tag, local, parent });
  details.report(
    'TAG_CONFLICT',
    `${repository}:${tag}`,
    `${repository}:${tag} is ${local} here and was ${parent} at the parent; the local one is kept, the other stays reachable by digest`,
  );
}

/** The parent's listings with manifests from `store` where it has them: a digest has one content everywhere. */
export function manifestsFrom(store: ImageSource, parent: ImageSource): ImageSource {
  return {
    listRepositories: (options) => parent.listRepositories(options),
    listTags: (repository, options) => parent.listTags(repository, options),
    resolveTag: (repository, tag, options) => parent.resolveTag(repository, tag, options),
    listReferrers: (repository, subject, options) => parent.listReferrers(repository, subject, options),
    readBlob: (repository, digest, options) => parent.readBlob(repository, digest, options),
    ...(parent.readSmallBlob && { readSmallBlob: parent.readSmallBlob }),
    findManifest: async (repository, reference, options) =>
      (isDigest(reference) ? await store.findManifest(repository, reference) : undefined) ??
      parent.findManifest(repository, reference, options),
  };
}

/**
 * A tag goes when its rule does not take it any more, or when a complete listing lacks it and the parent, asked for it
 * by name, does not have it either.
 * A listing without any tag removes nothing: a parent that lost its data must not empty its sites.
 */
async function findGoneTags(
  pass: Pass,
  pending: PendingChanges,
  { repository, rule }: PlannedRepository,
  onParent: ReadonlySet<Tag>,
): Promise<void> {
  const { store, parent, signal, details, removals } = pass;
  if (onParent.size === 0) {
    const text = `the parent shows no tag in ${repository}; what is held of it stays`;
    details.report('PARENT_REPOSITORY_EMPTY', repository, text);
    return;
  }
  for await (const { tag, digest } of store.describeTags(repository, { signal })) {
    if (pending.hasTag(repository, tag)) continue;
    const isThere = async () =>
      onParent.has(tag) || (await parent.resolveTag(repository, tag, { signal })) !== undefined;
    if (wantsTag(rule, tag) && (await isThere())) continue;
    removals.tag(repository, tag, digest);
  }
}

/** No rule at all is taken for a mistake, not for a wish to lose everything. */
async function findDelisted(pass: Pass, pending: PendingChanges): Promise<void> {
  const { store, rules, signal, removals } = pass;
  if (rules.length === 0) return;
  for await (const { name, tags, manifests } of store.describeRepositories({ signal })) {
    if (manifests === 0 || ruleFor(rules, name) || pending.repositories.has(name)) continue;
    removals.repository(name, tags);
  }
}
