import { RegistryError } from '../errors.ts';
import type { RepositoryName } from '../oci/names.ts';
import { ParentError } from '../parent/parent.ts';
import type { Change } from '../store/store.ts';
import { copyImage } from './copy-image.ts';
import { forEach } from './for-each.ts';
import type { Pass } from './pass.ts';
import { reportConflict } from './pull.ts';

/**
 * Carries local changes to the parent, in order within a repository. One that fails stops its own repository only;
 * it stays in the outbox, with everything behind it, for the next pass.
 */
export async function drainOutbox(pass: Pass): Promise<void> {
  const queues = new Map<RepositoryName, Change[]>();
  for await (const change of pass.store.outbox.read()) {
    const queue = queues.get(change.repository) ?? [];
    queue.push(change);
    queues.set(change.repository, queue);
  }
  await forEach(queues, pass.concurrency, async ([repository, changes]) => {
    try {
      for (const change of changes) {
        pass.signal.throwIfAborted();
        await carry(pass, change);
        await pass.store.outbox.done(change);
      }
    } catch (error) {
      pass.signal.throwIfAborted();
      await pass.failed(error, repository);
    }
  });
}

/** Resolves when the entry needs no more carrying. */
function carry(pass: Pass, change: Change): Promise<void> {
  switch (change.action) {
    case 'push':
    case 'tag':
      return carryImage(pass, change);
    case 'untag':
      return carryUntag(pass, change);
    case 'delete':
      return unlessUnsupported(pass, change, () =>
        pass.parent.deleteManifest(change.repository, change.digest, { signal: pass.signal }),
      );
  }
}

async function carryImage(pass: Pass, { repository, digest, tag }: Change): Promise<void> {
  const { store, parent, signal, details } = pass;
  if (tag !== undefined) {
    const before = await parent.resolveTag(repository, tag, { signal });
    const base = (await store.describeTag(repository, tag))?.base;
    if (before !== undefined && before !== digest && before !== base) {
      reportConflict(pass, repository, tag, digest, before);
    }
  }
  try {
    // Referrers have entries of their own.
    await copyImage(store, parent, { repository, reference: digest, tag, referrers: false }, pass);
  } catch (error) {
    if (!isGone(error)) throw error;
    details.report('PUSH_INCOMPLETE', `${repository}@${digest}`, `not carried to the parent: ${error.message}`);
  }
}

/** A part of it was deleted here since; waiting would not bring it back. */
function isGone(error: unknown): error is RegistryError {
  return error instanceof RegistryError && (error.code === 'MANIFEST_UNKNOWN' || error.code === 'BLOB_UNKNOWN');
}

/** Removing never wins over a change that was not seen: a tag that moved at the parent stays there. */
async function carryUntag(pass: Pass, change: Change): Promise<void> {
  const { repository, digest, tag } = change;
  const { parent, signal, details, log } = pass;
  if (tag === undefined) return;
  const before = await parent.resolveTag(repository, tag, { signal });
  if (before === undefined) return;
  if (before === digest) {
    await unlessUnsupported(pass, change, () => parent.deleteTag(repository, tag, { signal }));
    return;
  }
  log.warn('A tag was removed here and changed at the parent; the parent keeps it.', {
    repository,
    tag,
    digest,
    before,
  });
  details.report(
    'TAG_CONFLICT',
    `${repository}:${tag}`,
    `${repository}:${tag} (${digest}) was removed here and is now ${before} at the parent, which keeps it`,
  );
}

async function unlessUnsupported(
  { details, log }: Pass,
  { repository, digest, tag }: Change,
  remove: () => Promise<boolean>,
): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!(error instanceof ParentError) || error.failure !== 'denied') throw error;
    const what = tag === undefined ? `${repository}@${digest}` : `${repository}:${tag}`;
    log.warn('The parent does not let this registry delete; it keeps what was deleted here.', {
      repository,
      digest,
      tag,
    });
    details.report('PARENT_DELETE_UNSUPPORTED', what, `the parent keeps ${what}: ${error.message}`);
  }
}
