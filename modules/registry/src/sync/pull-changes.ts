import type { Digest } from '../oci/digest.ts';
import { parseManifest } from '../oci/manifest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { ParentMessage } from '../parent/parent.ts';
import { ruleFor, wantsTag } from '../settings/repository-rules.ts';
import type { RepositoryRule } from '../settings/settings.ts';
import { copyImage } from './copy-image.ts';
import { forEach } from './for-each.ts';
import { pendingChanges, type Pass, type PendingChanges } from './pass.ts';
import { imagesAtOnce, manifestsFrom, noteFailure, pullTag } from './pull.ts';

/** What the messages name in one repository, each thing once. */
interface Named {
  readonly rule: RepositoryRule;
  readonly tags: Set<Tag>;
  readonly pushed: Set<Digest>;
  readonly deleted: Set<Digest>;
}

/**
 * Brings down what the parent's messages name, and only that: the cost grows with what changed. A message says where to
 * look, not what is there: the parent is asked how it stands now, so that order and repetition do not matter.
 */
export async function pullChanges(pass: Pass, messages: readonly ParentMessage[]): Promise<void> {
  if (pass.progress.repositories.length === 0) await showWhatIsHere(pass);
  const pending = await pendingChanges(pass.store.outbox.read());
  const named = inRuleOrder(namedIn(messages, pass.rules), pass.rules).map(([repository, what]) =>
    beginRepository(pass, repository, what),
  );
  await forEach(named, pass.concurrency, async ({ repository, what, attempt }) => {
    await attempt(() => addTagsOfDeleted(pass, repository, what));
    await forEach(what.tags, imagesAtOnce(pass), (tag) =>
      attempt(() => pullNamedTag(pass, pending, repository, what.rule, tag)),
    );
    // After the tags, which bring their referrers along.
    for (const digest of what.pushed) await attempt(() => pullReferrer(pass, pending, repository, what.rule, digest));
  });
  await pass.removals.carryOut();
  for (const { repository, what, attempt, end } of named) {
    // An image that stays keeps its signatures.
    const gone = pass.removals.held ? [] : what.deleted;
    for (const digest of gone) await attempt(() => removeReferrer(pass, pending, repository, digest));
    await end();
  }
}

function beginRepository(pass: Pass, repository: RepositoryName, what: Named) {
  const row = pass.progress.repository(repository);
  let failures = 0;
  return {
    repository,
    what,
    /** Does it; a failure is noted, and what comes after it goes on. */
    attempt: async (action: () => Promise<unknown>): Promise<void> => {
      try {
        await action();
      } catch (error) {
        failures += 1;
        await noteFailure(pass, row, repository, error);
      }
    },
    end: async (): Promise<void> => {
      row.count((await pass.store.describeRepository(repository))?.tags ?? 0, failures);
      row.end();
    },
  };
}

/** After a restart: what earlier passes brought is in sync, and an operator wants to see it. */
async function showWhatIsHere({ store, rules, progress, signal }: Pass): Promise<void> {
  for await (const { name, tags } of store.describeRepositories({ signal })) {
    if (!ruleFor(rules, name)) continue;
    const row = progress.repository(name);
    row.count(tags, 0);
    row.end();
  }
}

function namedIn(messages: readonly ParentMessage[], rules: readonly RepositoryRule[]): Map<RepositoryName, Named> {
  const repositories = new Map<RepositoryName, Named>();
  for (const { action, repository, digest, tag } of messages) {
    const rule = ruleFor(rules, repository);
    if (!rule) continue;
    const named = repositories.get(repository) ?? { rule, tags: new Set(), pushed: new Set(), deleted: new Set() };
    repositories.set(repository, named);
    if (tag !== undefined) named.tags.add(tag);
    if (action === 'push') named.pushed.add(digest);
    if (action === 'delete') named.deleted.add(digest);
  }
  return repositories;
}

/** What is listed first is synced first. */
function inRuleOrder(
  named: ReadonlyMap<RepositoryName, Named>,
  rules: readonly RepositoryRule[],
): (readonly [RepositoryName, Named])[] {
  return [...named].sort(([, a], [, b]) => rules.indexOf(a.rule) - rules.indexOf(b.rule));
}

/** A delete takes the tags of its manifest along without naming them. */
async function addTagsOfDeleted({ store }: Pass, repository: RepositoryName, { deleted, tags }: Named): Promise<void> {
  for (const digest of deleted) {
    const known = await store.describeManifest(repository, digest);
    for (const tag of known?.tags ?? []) tags.add(tag);
  }
}

async function pullNamedTag(
  pass: Pass,
  pending: PendingChanges,
  repository: RepositoryName,
  rule: RepositoryRule,
  tag: Tag,
): Promise<void> {
  const digest = await pass.parent.resolveTag(repository, tag, { signal: pass.signal });
  if (digest !== undefined) {
    pass.details.forget('PARENT_REPOSITORY_EMPTY', repository);
    if (wantsTag(rule, tag)) await pullTag(pass, pending, repository, rule, { tag, digest });
  } else if (pass.mode === 'ReadOnly' && !pending.hasTag(repository, tag)) {
    const local = await pass.store.describeTag(repository, tag);
    if (local) pass.removals.tag(repository, tag, local.digest);
  }
}

/** A signature or SBOM that came after its subject. Other manifests without a tag are nobody's wish. */
async function pullReferrer(
  pass: Pass,
  pending: PendingChanges,
  repository: RepositoryName,
  { platforms }: RepositoryRule,
  digest: Digest,
): Promise<void> {
  const { store, parent, signal } = pass;
  if (pending.hasDelete(repository, digest) || (await store.replica.hasManifest(repository, digest))) return;
  const stored = await parent.findManifest(repository, digest, { signal });
  const subject = stored && parseManifest(stored.bytes, stored.mediaType).subject;
  if (!subject || !(await store.replica.hasManifest(repository, subject.digest))) return;
  const job = { repository, reference: digest, platforms };
  const progress = pass.progress.transfersOf(repository);
  await copyImage(manifestsFrom(store, parent), store.replica, job, { ...pass, progress });
}

/** No tag leads to a referrer, so nothing else would take it away. */
async function removeReferrer(
  pass: Pass,
  pending: PendingChanges,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const { store, parent, signal, mode, log } = pass;
  if (mode !== 'ReadOnly' || pending.repositories.has(repository)) return;
  const stored = await store.findManifest(repository, digest);
  if (!stored || !parseManifest(stored.bytes, stored.mediaType).subject) return;
  if (await parent.hasManifest(repository, digest, { signal })) return;
  await store.replica.deleteManifest(repository, digest);
  log.info('A referrer is gone from the parent and was removed.', { repository, digest });
}
