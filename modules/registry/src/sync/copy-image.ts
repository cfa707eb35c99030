import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { parseManifest, type Descriptor, type Platform } from '../oci/manifest.ts';
import { manifestMediaTypes } from '../oci/media-types.ts';
import type { Reference, RepositoryName, Tag } from '../oci/names.ts';
import { wantsPlatform } from '../oci/platform.ts';
import type { ImageSource, ImageTarget, StoredManifest } from '../oci/registry.ts';
import type { Log } from '../status/log.ts';
import { allDone } from './all-done.ts';
import type { BlobTransfers } from './blob-transfers.ts';
import type { TransferProgress } from './transfer-blob.ts';

export interface CopyJob {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  /** What `reference` names, where it is at hand: it is not asked for again. */
  readonly manifest?: StoredManifest;
  /** Set on the target at the very end. */
  readonly tag?: Tag | undefined;
  /** Asked just before the tag is set: false leaves the tag alone. */
  readonly mayTag?: () => Promise<boolean>;
  /** Index children of other platforms are left out; the index keeps its bytes and digest. Empty: all. */
  readonly platforms?: readonly Platform[];
  /** False: an index is copied without its children. Default true. */
  readonly children?: boolean;
  /** Copies signatures, SBOMs and whatever else refers to what is copied. Default true. */
  readonly referrers?: boolean;
  /** Also looks for referrers of an index's children. Default true. */
  readonly childReferrers?: boolean;
  /** Every tag of the repository at the source, where they are at hand: see `ReferrersOptions`. */
  readonly allTags?: ReadonlySet<Tag> | undefined;
  /** Also brings the blobs that a manifest lacks which the target has: they were lost there. Default false. */
  readonly lostBlobs?: boolean;
}

export type CopyProgress = TransferProgress;

export interface CopyOptions {
  readonly signal: AbortSignal;
  readonly transfers: Pick<BlobTransfers, 'carry'> & { readonly rate: Pick<BlobTransfers['rate'], 'charge'> };
  readonly log: Log;
  readonly progress?: CopyProgress | undefined;
}

export type CopyResult =
  /** The source has no such manifest; nothing was changed. */
  | { readonly outcome: 'missing' }
  /** `manifests`: how many the target did not have before. `tagged`: false when `mayTag` said no, or without a tag. */
  | { readonly outcome: 'copied'; readonly digest: Digest; readonly manifests: number; readonly tagged: boolean };

/** An image with more referrers than this is broken or an attack; the rest is left out, with a warning. */
export const referrersLimit = 1000;

interface Copy extends CopyOptions {
  readonly source: ImageSource;
  readonly target: ImageTarget;
  readonly job: CopyJob;
  readonly seen: Set<Digest>;
  referrersSeen: number;
  manifests: number;
}

/**
 * Copies one image with everything a client needs, from any registry to any other: children, then blobs, then the
 * manifest, then its referrers, and the tag last, so that a tag never points at something incomplete.
 * What the target has is not sent again. Throws MANIFEST_UNKNOWN or BLOB_UNKNOWN when the source lacks a part,
 * what source and target throw, and the signal's reason.
 */
export async function copyImage(
  source: ImageSource,
  target: ImageTarget,
  job: CopyJob,
  options: CopyOptions,
): Promise<CopyResult> {
  const { repository, tag } = job;
  const { signal } = options;
  const root = job.manifest ?? (await source.findManifest(repository, job.reference, { signal }));
  if (!root) return { outcome: 'missing' };
  const copy: Copy = { ...options, source, target, job, seen: new Set(), referrersSeen: 0, manifests: 0 };
  const tagged = await copyManifest(copy, root, job.referrers ?? true, { tag });
  return { outcome: 'copied', digest: root.digest, manifests: copy.manifests, tagged };
}

/** What the manifest is for: the tag to set in the end, the platform an index gives it. */
interface Purpose {
  readonly tag?: Tag | undefined;
  readonly platform?: Platform | undefined;
}

/** Whether the tag was set, in the end. */
async function copyManifest(
  copy: Copy,
  stored: StoredManifest,
  referrers: boolean,
  { tag, platform }: Purpose = {},
): Promise<boolean> {
  copy.seen.add(stored.digest);
  const { target, transfers, signal } = copy;
  const { repository, platforms = [], children = true, childReferrers = true, mayTag } = copy.job;
  const manifest = parseManifest(stored.bytes, stored.mediaType);
  const absent: Digest[] = [];
  for (const child of manifest.manifests) {
    const wanted =
      children && wantsPlatform(platforms, child) && (await copyChild(copy, child, referrers && childReferrers));
    if (!wanted) absent.push(child.digest);
  }
  const isNew = !(await target.hasManifest(repository, stored.digest, { signal }));
  const [others] = await allDone([
    referrers ? findReferrers(copy, stored.digest) : [],
    isNew || copy.job.lostBlobs === true ? copyBlobs(copy, manifest.blobs, platform) : undefined,
  ]);
  if (isNew) {
    transfers.rate.charge(stored.bytes.length);
    copy.manifests += 1;
  }
  // With nothing to come between them, manifest and tag are one step.
  const isSplit = others.length > 0;
  if (isNew && isSplit) await target.putManifest(repository, stored, { absent, signal });
  for (const digest of others) await copyReferrer(copy, digest);
  const tagged = tag !== undefined && (await (mayTag?.() ?? true));
  if (tagged || (isNew && !isSplit)) {
    await target.putManifest(repository, stored, { absent, signal, ...(tagged && { tag }) });
  }
  return tagged;
}

/** False when the child is no manifest, so that the target must not demand one. */
async function copyChild(copy: Copy, child: Descriptor, referrers: boolean): Promise<boolean> {
  if (copy.seen.has(child.digest)) return true;
  const { source, target, signal } = copy;
  const { repository } = copy.job;
  if (!manifestMediaTypes.includes(child.mediaType)) {
    await copyBlobs(copy, [child], child.platform);
    return false;
  }
  const stored = await source.findManifest(repository, child.digest, { signal });
  if (stored) {
    await copyManifest(copy, stored, referrers, { platform: child.platform });
    return true;
  }
  if (await target.hasManifest(repository, child.digest, { signal })) return true;
  const { os, architecture } = child.platform ?? { os: 'unknown', architecture: 'unknown' };
  throw new RegistryError('MANIFEST_UNKNOWN', {
    message: `the source lacks ${child.digest} (${os}/${architecture}), which an index of ${repository} needs`,
  });
}

async function copyBlobs(copy: Copy, blobs: readonly Descriptor[], platform?: Platform): Promise<void> {
  const { source, target, transfers, signal, progress } = copy;
  const { repository, tag } = copy.job;
  const image = tag && { tag, platform };
  await allDone(
    blobs.map(async (blob) => {
      const outcome = await transfers.carry({ source, target, repository, blob, signal, progress, image });
      if (outcome === 'absent' && !blob.urls?.length) {
        throw new RegistryError('BLOB_UNKNOWN', { message: `the source lacks blob ${blob.digest} of ${repository}` });
      }
    }),
  );
}

/** Those of `subject` that were not looked at yet. */
async function findReferrers(copy: Copy, subject: Digest): Promise<readonly Digest[]> {
  const { source, log, signal } = copy;
  const { repository, allTags } = copy.job;
  const found: Digest[] = [];
  for await (const { digest } of source.listReferrers(repository, subject, { signal, allTags })) {
    if (copy.seen.has(digest)) continue;
    copy.referrersSeen += 1;
    if (copy.referrersSeen > referrersLimit) {
      log.warn('An image has too many referrers; the rest was left out.', { repository, subject, referrersLimit });
      break;
    }
    found.push(digest);
  }
  return found;
}

async function copyReferrer(copy: Copy, digest: Digest): Promise<void> {
  if (copy.seen.has(digest)) return;
  const stored = await copy.source.findManifest(copy.job.repository, digest, { signal: copy.signal });
  if (stored) await copyManifest(copy, stored, true);
}
