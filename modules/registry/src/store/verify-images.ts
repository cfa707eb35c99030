import { algorithmOf, digestOf, type Digest } from '../oci/digest.ts';
import { parseManifest, type Descriptor, type Manifest } from '../oci/manifest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import { linkBlob, unlinkBlob } from './blob-links.ts';
import type { Transaction } from './transaction.ts';
import { holderKey, idOf, keyWithin, relationKey, repositoryOf } from './layout.ts';
import { addReferences } from './references.ts';
import type { ManifestRow } from './rows.ts';
import type { Finding } from './verification.ts';
import { verifyCounts } from './verify-counts.ts';
import { verifyJournal } from './verify-journal.ts';
import { rowsOf, type View } from './verify-rows.ts';
import type { VerifyPass } from './verify-store.ts';

/** The rows among themselves, all as they were at one moment. What looks wrong is asked again inside a transaction. */
export async function verifyImages(pass: VerifyPass): Promise<void> {
  const snapshot = pass.index.snapshot();
  const view = { snapshot };
  try {
    await verifyLinks(pass, view);
    await verifyManifests(pass, view);
    await verifyTags(pass, view);
    await verifyCounts(pass, view);
    await verifyJournal(pass, view);
  } finally {
    await snapshot.close();
  }
}

type Found = Omit<Finding, 'repaired'>;

/** `isWrong` and, in a repair, `mend` run where no other writer comes in between. `mend` says whether it could. */
async function confirm(
  { commit, repair, tally }: VerifyPass,
  finding: Found,
  isWrong: (write: Transaction) => boolean,
  mend: (write: Transaction) => boolean,
): Promise<void> {
  const outcome = await commit.transact((write) => {
    if (!isWrong(write)) return undefined;
    return repair && mend(write);
  });
  if (outcome !== undefined) tally.find({ ...finding, repaired: outcome });
}

/** Each points at a blob, and the blob knows of it: garbage collection relies on that. */
async function verifyLinks(pass: VerifyPass, view: View): Promise<void> {
  const { tables, tally } = pass;
  for await (const [key] of rowsOf(pass, tables.link, view)) {
    const [repository, digest] = [repositoryOf(key), idOf(key) as Digest];
    const holder = holderKey(digest, repository);
    tally.sums.links += 1;
    if (tables.blob.getSync(digest, view) === undefined) {
      await confirm(
        pass,
        { kind: 'link', repository, digest, problem: 'it points at a blob that is not here' },
        (write) => write.get(tables.link, key) !== undefined && !write.get(tables.blob, digest),
        (write) => unlinkBlob(write, repository, digest),
      );
    } else if (tables.holder.getSync(holder, view) === undefined) {
      await confirm(
        pass,
        { kind: 'link', repository, digest, problem: 'the blob does not know of it' },
        (write) => write.get(tables.link, key) !== undefined && !write.get(tables.holder, holder),
        (write) => {
          write.put(tables.holder, holder, true);
          return true;
        },
      );
    }
  }
}

/** Each has its digest and is complete. Which children an index lacks on purpose is not written down. */
async function verifyManifests(pass: VerifyPass, view: View): Promise<void> {
  const { tables, tally } = pass;
  for await (const [key, row] of rowsOf(pass, tables.manifest, view)) {
    const [repository, digest] = [repositoryOf(key), idOf(key) as Digest];
    tally.sums.manifests += 1;
    const content = contentOf(digest, row);
    if (!content) {
      // Reads take it for absent already, and the next copy of it is put in its place.
      await confirm(
        pass,
        { kind: 'manifest', repository, digest, problem: 'its bytes have another digest' },
        (write) => {
          const now = write.get(tables.manifest, key);
          return now !== undefined && !contentOf(digest, now);
        },
        () => false,
      );
      continue;
    }
    for (const blob of content.blobs) await verifyPart(pass, { repository, digest, key }, blob, view);
    const parts = [...content.blobs, ...content.manifests];
    const needs = (part: Descriptor): string => relationKey(repository, part.digest, digest);
    if (parts.some((part) => tables.needed.getSync(needs(part), view) === undefined)) {
      await confirm(
        pass,
        { kind: 'manifest', repository, digest, problem: 'what it needs does not know of it' },
        (write) =>
          write.get(tables.manifest, key) !== undefined &&
          parts.some((part) => write.get(tables.needed, needs(part)) === undefined),
        (write) => {
          addReferences(write, repository, digest, content);
          return true;
        },
      );
    }
    await verifyReferrer(pass, { repository, digest, key }, content, row, view);
  }
}

interface Place {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly key: string;
}

/** A blob that a manifest needs is in its repository; one whose bytes are still here is put back there. */
async function verifyPart(
  pass: VerifyPass,
  { repository, digest, key }: Place,
  blob: Descriptor,
  view: View,
): Promise<void> {
  const { tables } = pass;
  const link = keyWithin(repository, blob.digest);
  if ((blob.urls?.length ?? 0) > 0 || tables.link.getSync(link, view) !== undefined) return;
  await confirm(
    pass,
    { kind: 'manifest', repository, digest, problem: `it needs ${blob.digest}, which is not in its repository` },
    (write) => write.get(tables.manifest, key) !== undefined && !write.get(tables.link, link),
    (write) => {
      const bytes = write.get(tables.content, blob.digest);
      const isHere = bytes && digestOf(bytes, algorithmOf(blob.digest)) === blob.digest;
      const sizeBytes = write.get(tables.blob, blob.digest)?.sizeBytes ?? (isHere ? bytes.length : undefined);
      if (sizeBytes === undefined) return false;
      linkBlob(write, repository, blob.digest, sizeBytes);
      addReferences(write, repository, digest, { blobs: [blob], manifests: [] });
      return true;
    },
  );
}

async function verifyReferrer(
  pass: VerifyPass,
  { repository, digest, key }: Place,
  { subject, artifactType, annotations, mediaType }: Manifest,
  { bytes }: ManifestRow,
  view: View,
): Promise<void> {
  const { tables } = pass;
  const referrer = subject && relationKey(repository, subject.digest, digest);
  if (referrer === undefined || tables.referrer.getSync(referrer, view)) return;
  await confirm(
    pass,
    { kind: 'manifest', repository, digest, problem: 'its subject does not know of it' },
    (write) => write.get(tables.manifest, key) !== undefined && !write.get(tables.referrer, referrer),
    (write) => {
      const more = { ...(artifactType !== undefined && { artifactType }), ...(annotations && { annotations }) };
      write.put(tables.referrer, referrer, { mediaType, digest, size: bytes.length, ...more });
      return true;
    },
  );
}

/** Each points at a manifest, and the manifest knows of it. */
async function verifyTags(pass: VerifyPass, view: View): Promise<void> {
  const { tables, tally } = pass;
  for await (const [key, { digest }] of rowsOf(pass, tables.tag, view)) {
    const [repository, tag] = [repositoryOf(key), idOf(key) as Tag];
    const manifest = keyWithin(repository, digest);
    tally.sums.tags += 1;
    if (!isThere(() => tables.manifest.getSync(manifest, view))) {
      // Kept, so that sync and its owner know what it was: asked for, it answers that there is none.
      await confirm(
        pass,
        { kind: 'tag', repository, tag, digest, problem: 'it points at a manifest that is not here' },
        (write) =>
          write.get(tables.tag, key)?.digest === digest && !isThere(() => write.get(tables.manifest, manifest)),
        () => false,
      );
    } else if (!tables.tagged.getSync(manifest, view)?.includes(tag)) {
      await confirm(
        pass,
        { kind: 'tag', repository, tag, digest, problem: 'its manifest does not know of it' },
        (write) => write.get(tables.tag, key)?.digest === digest && !write.get(tables.tagged, manifest)?.includes(tag),
        (write) => {
          write.put(tables.tagged, manifest, [...(write.get(tables.tagged, manifest) ?? []), tag]);
          return true;
        },
      );
    }
  }
}

/** A row that cannot be read was told with its table, and is there no more than one that is not. */
function isThere(look: () => unknown): boolean {
  try {
    return look() !== undefined;
  } catch {
    return false;
  }
}

function contentOf(digest: Digest, { bytes, mediaType }: ManifestRow): Manifest | undefined {
  if (digestOf(bytes, algorithmOf(digest)) !== digest) return undefined;
  try {
    return parseManifest(bytes, mediaType);
  } catch {
    return undefined;
  }
}
