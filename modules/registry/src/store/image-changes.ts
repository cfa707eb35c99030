import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Descriptor, Manifest } from '../oci/manifest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import type { StoredManifest } from '../oci/registry.ts';
import type { Transaction } from './transaction.ts';
import { keyWithin, relationKey, suspectKey } from './layout.ts';
import { forgetLock, refuseLocked } from './locks.ts';
import { addReferences, dropReferences } from './references.ts';
import { countInRepository } from './repository-row.ts';
import type { TagRow } from './rows.ts';
import { addSuspect, clearSuspect, renewSuspect } from './suspects.ts';

/** Who writes, and whether the parent is to hear of it. */
export interface Author {
  readonly origin: 'local' | 'parent';
  readonly carried: boolean;
}

/**
 * Adds a manifest and points `tag` at it. A new manifest is journalled as one `push`, with its tag if it has one;
 * a known one as `tag`; what changes nothing is not journalled.
 * Throws MANIFEST_BLOB_UNKNOWN, with what is missing as detail; REGISTRY_DISALLOWED_OPERATION for a client's write to
 * what is locked.
 */
export function putManifest(
  write: Transaction,
  repository: RepositoryName,
  stored: StoredManifest,
  content: Manifest,
  options: { readonly author: Author; readonly tag?: Tag; readonly absent?: readonly Digest[] },
): void {
  const { author, tag, absent = [] } = options;
  if (isClient(author)) refuseLocked(write, 'write', repository, [stored.digest, tag]);
  const key = keyWithin(repository, stored.digest);
  const known = write.get(write.tables.manifest, key);
  const isNew = !known;
  if (known && !known.bytes.equals(stored.bytes)) {
    write.put(write.tables.manifest, key, { ...known, bytes: stored.bytes }); // damaged on disk: healed by a new copy
    write.count({ usedBytes: stored.bytes.length - known.bytes.length });
  }
  // A known index keeps the children that are absent on purpose; a blob may have been lost or deleted since.
  const missing = missingReferences(
    write,
    repository,
    isNew ? content : { ...content, manifests: [] },
    new Set(absent),
  );
  if (missing.length > 0) {
    throw new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: missing.map((digest) => ({ digest })) });
  }
  if (isNew) {
    addManifest(write, repository, stored, content);
    addReferences(write, repository, stored.digest, content);
    if (tag === undefined) addSuspect(write, suspectKey('manifest', repository, stored.digest));
  } else {
    renewSuspect(write, suspectKey('manifest', repository, stored.digest));
  }
  const moved = tag !== undefined && pointTag(write, repository, tag, stored.digest, author.origin);
  if (!isNew && !moved) return;
  const change = { action: isNew ? ('push' as const) : ('tag' as const), repository, digest: stored.digest };
  write.journal({ ...change, ...(tag !== undefined && { tag }), origin: author.origin }, author);
}

/** Deletes the manifest, every tag that points at it and what it says of its subject. Throws as `putManifest`. */
export function deleteManifest(
  write: Transaction,
  repository: RepositoryName,
  digest: Digest,
  author: Author,
): boolean {
  const { manifest, referrer, tag, tagged } = write.tables;
  const key = keyWithin(repository, digest);
  const row = write.get(manifest, key);
  if (!row) return false;
  const tags = write.get(tagged, key) ?? [];
  if (isClient(author)) refuseLocked(write, 'delete', repository, [digest, ...tags]);
  for (const reference of [digest, ...tags]) forgetLock(write, repository, reference);
  for (const name of tags) write.delete(tag, keyWithin(repository, name));
  write.delete(tagged, key);
  if (row.subject) write.delete(referrer, relationKey(repository, row.subject, digest));
  write.delete(manifest, key);
  clearSuspect(write, suspectKey('manifest', repository, digest));
  dropReferences(write, repository, digest, row);
  write.count({ manifests: -1, usedBytes: -row.bytes.length });
  countInRepository(write, repository, { manifests: -1, tags: -tags.length });
  write.journal({ action: 'delete', repository, digest, origin: author.origin }, author);
  return true;
}

/** Throws as `putManifest`. */
export function deleteTag(write: Transaction, repository: RepositoryName, tag: Tag, author: Author): boolean {
  const key = keyWithin(repository, tag);
  const row = write.get(write.tables.tag, key);
  if (!row) return false;
  if (isClient(author)) refuseLocked(write, 'delete', repository, [tag]);
  forgetLock(write, repository, tag);
  write.delete(write.tables.tag, key);
  forgetTag(write, repository, row.digest, tag);
  countInRepository(write, repository, { tags: -1 });
  write.journal({ action: 'untag', repository, digest: row.digest, tag, origin: author.origin }, author);
  return true;
}

/** Blobs by their link, children by their manifest; a subject may come later (distribution-spec 1.1, end-7). */
function missingReferences(
  write: Transaction,
  repository: RepositoryName,
  content: Manifest,
  absent: ReadonlySet<Digest>,
): Digest[] {
  const { link, manifest } = write.tables;
  const isHere = ({ digest, urls }: Descriptor): boolean =>
    (urls !== undefined && urls.length > 0) || write.get(link, keyWithin(repository, digest)) === true;
  const blobs = content.blobs.filter((blob) => !isHere(blob));
  const children = content.manifests.filter(
    ({ digest }) => !absent.has(digest) && !write.get(manifest, keyWithin(repository, digest)),
  );
  return [...new Set([...blobs, ...children].map(({ digest }) => digest))];
}

function addManifest(
  write: Transaction,
  repository: RepositoryName,
  { digest, mediaType, bytes }: StoredManifest,
  { subject, artifactType, annotations }: Manifest,
): void {
  const kind = artifactType === undefined ? {} : { artifactType };
  const added = write.now.toISOString();
  write.put(write.tables.manifest, keyWithin(repository, digest), {
    mediaType,
    added,
    ...(subject && { subject: subject.digest }),
    ...kind,
    bytes,
  });
  if (subject) {
    const descriptor = { mediaType, digest, size: bytes.length, ...kind, ...(annotations && { annotations }) };
    write.put(write.tables.referrer, relationKey(repository, subject.digest, digest), descriptor);
  }
  write.count({ manifests: 1, usedBytes: bytes.length });
  countInRepository(write, repository, { manifests: 1 });
}

/** True when the tag now points elsewhere than before. What came from the parent is the new common base. */
function pointTag(
  write: Transaction,
  repository: RepositoryName,
  tag: Tag,
  digest: Digest,
  origin: TagRow['origin'],
): boolean {
  const { tag: tags, tagged } = write.tables;
  const key = keyWithin(repository, tag);
  const old = write.get(tags, key);
  const base = origin === 'parent' ? digest : old?.base;
  const moved = old?.digest !== digest;
  if (!moved && (origin === 'local' || (old.base === base && old.origin === origin))) return false;
  const now = write.now.toISOString();
  const [created, updated] = [old?.created ?? now, moved ? now : old.updated];
  write.put(tags, key, { digest, created, updated, origin, ...(base && { base }) });
  if (!moved) return false;
  if (old) forgetTag(write, repository, old.digest, tag);
  const manifestKey = keyWithin(repository, digest);
  write.put(tagged, manifestKey, [...(write.get(tagged, manifestKey) ?? []), tag]);
  countInRepository(write, repository, { tags: old ? 0 : 1 });
  return true;
}

function forgetTag(write: Transaction, repository: RepositoryName, digest: Digest, tag: Tag): void {
  const key = keyWithin(repository, digest);
  const others = (write.get(write.tables.tagged, key) ?? []).filter((other) => other !== tag);
  if (others.length > 0) {
    write.put(write.tables.tagged, key, others);
  } else {
    write.delete(write.tables.tagged, key);
    addSuspect(write, suspectKey('manifest', repository, digest));
  }
}

/** Locks are there for clients; a replica follows its parent. */
function isClient({ origin }: Author): boolean {
  return origin === 'local';
}
