import { smallestArrivingBytes, type ArrivingBlob } from '../oci/arriving-blob.ts';
import type { ImageTarget } from '../oci/registry.ts';
import { wantsPlatform } from '../oci/platform.ts';
import { ruleFor, wantsTag } from '../settings/repository-rules.ts';
import type { RepositoryRule } from '../settings/settings.ts';
import type { BlobTransfer } from './transfer-blob.ts';

/** Tells children which blobs of images begin to arrive at `target`; what `tell` gives is called at the end of each. */
export function hintsOf(
  target: ImageTarget,
  tell: (blob: ArrivingBlob) => () => void,
): (transfer: BlobTransfer) => (() => void) | undefined {
  return ({ target: to, repository, blob: { digest, size }, image }) => {
    if (to !== target || !image || size < smallestArrivingBytes) return undefined;
    const { tag, platform } = image;
    return tell({ repository, ...(tag && { tag }), ...(platform && { platform }), digest, size });
  };
}

/** Whether a pass by these rules would bring the blob, once the image is at the parent: surely, where that is not known yet. */
export function isWantedBy(rules: readonly RepositoryRule[], hint: ArrivingBlob): boolean {
  const rule = ruleFor(rules, hint.repository);
  if (!rule) return false;
  if (hint.tag === undefined) return rule.tags.length === 0 && rule.semver === undefined && rule.platforms.length === 0;
  return wantsTag(rule, hint.tag) && wantsPlatform(rule.platforms, hint);
}
