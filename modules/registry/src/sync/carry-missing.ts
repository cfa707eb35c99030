import type { RepositoryName } from '../oci/names.ts';
import type { TagRecord } from '../store/descriptions.ts';
import { copyImage } from './copy-image.ts';
import { forEach } from './for-each.ts';
import { pendingChanges, type Pass, type PendingChanges } from './pass.ts';
import { isUntouched, reportConflict } from './pull.ts';

/**
 * Carries up tags that parent and we never agreed on and that no outbox entry speaks of: they were pushed while there
 * was no parent. A tag that the parent has under another digest stays as it is on both sides, and is told.
 */
export async function carryMissing(pass: Pass): Promise<void> {
  const { store, signal, concurrency } = pass;
  const pending = await pendingChanges(store.outbox.read());
  await forEach(store.describeRepositories({ signal }), concurrency, async ({ name }) => {
    try {
      for await (const record of store.describeTags(name, { signal })) {
        if (record.base === undefined) await carry(pass, pending, name, record);
      }
    } catch (error) {
      signal.throwIfAborted();
      await pass.failed(error, name);
    }
  });
}

async function carry(
  pass: Pass,
  pending: PendingChanges,
  repository: RepositoryName,
  record: TagRecord,
): Promise<void> {
  const { store, parent, signal, log } = pass;
  const { tag, digest } = record;
  if (pending.hasTag(repository, tag)) return;
  const before = await parent.resolveTag(repository, tag, { signal });
  if (before !== undefined && before !== digest) {
    reportConflict(pass, repository, tag, digest, before);
    return;
  }
  const manifest = await store.findManifest(repository, digest);
  if (!manifest) return;
  if (before === undefined) {
    const { outcome } = await copyImage(store, parent, { repository, reference: digest, manifest, tag }, pass);
    if (outcome === 'copied') log.info('A tag from before there was a parent was carried up.', { repository, tag });
  }
  // Both have it now.
  if (await isUntouched(store, repository, tag, digest, record)) {
    await store.replica.putManifest(repository, manifest, { tag, signal });
  }
}
