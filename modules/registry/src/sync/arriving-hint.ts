import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import type { ImageTarget } from '../oci/registry.ts';
import { wantsPlatform } from '../oci/platform.ts';
import { ruleFor, wantsTag } from '../settings/repository-rules.ts';
import type { RepositoryRule } from '../settings/settings.ts';
import type { BlobTransfer } from './transfer-blob.ts';

/** A smaller one is here before a child that hears of it has asked. */
const smallestBytes = 1024 * 1024;

/** Tells children which blobs of images begin to arrive at `target`; what `tell` gives is called at the end of each. */
export function hintsOf(
  target: ImageTarget,
  tell: (blob: ArrivingBlob) => () => void,
): (transfer: BlobTransfer) => (() => void) | undefined {
  return ({ target: to, repository, blob: { digest, size }, image }) => {
    if (to !== target || !image || size < smallestBytes) return undefined;
    const { tag, platform } = image;
    return tell({ repository, tag, ...(platform && { platform }), digest, size });
  };
}

/** Whether a pass by these rules would bring the blob, once the image is at the parent. */
export function isWantedBy(rules: readonly RepositoryRule[], hint: ArrivingBlob): boolean {
  const rule = ruleFor(rules, hint.repository);
  return rule !== undefined && wantsTag(rule, hint.tag) && wantsPlatform(rule.platforms, hint);
}
