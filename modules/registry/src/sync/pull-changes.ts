import type { Digest } from '../oci/digest.ts';
import { parseManifest } from '../oci/manifest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { ParentMessage } from '../parent/parent.ts';
import { ruleFor, wantsTag } from '../settings/repository-rules.ts';
import type { RepositoryRule } from '../settings/settings.ts';
import { copyImage } from './copy-image.ts';
import { forEach } from './for-each.ts';
import { pendingChanges, type Pass, type PendingChanges } from './pass.ts';
import { manifestsFrom, noteFailure, pullTag, removeTag } from './pull.ts';

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
  await forEach(namedIn(messages, pass.rules), pass.concurrency, async ([repository, named]) => {
    const row = pass.progress.repository(repository);
    let failures = 0;
    const attempt = async (action: () => Promise<unknown>): Promise<void> => {
      try {
        await action();
      } catch (error) {
        failures += 1;
        await noteFailure(pass, row, repository, error);
      }
    };
    await attempt(() => addTagsOfDeleted(pass, repository, named));
    await forEach(named.tags, pass.concurrency, (tag) =>
      attempt(() => pullNamedTag(pass, pending, repository, named.rule, tag)),
    );
    // After the tags, which bring their referrers along.
    for (const digest of named.pushed) await attempt(() => pullReferrer(pass, pending, repository, named.rule, digest));
    for (const digest of named.deleted) await attempt(() => removeReferrer(pass, pending, repository, digest));
    row.count((await pass.store.describeRepository(repository))?.tags ?? 0, failures);
    row.end();
  });
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
    await removeTag(pass, repository, tag);
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
  await copyImage(manifestsFrom(store, parent), store.replica, job, pass);
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
