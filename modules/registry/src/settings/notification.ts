import { parseDigest, type Digest } from '../oci/digest.ts';
import { parseRepositoryPattern, type RepositoryPattern } from '../oci/pattern.ts';
import { isTagGlob } from './repository-rules.ts';

/** Which events are told to the cloud; a part left out is undefined and matches nothing of its kind. */
export interface NotificationFilter {
  readonly repository: RepositoryPattern;
  readonly tag: string | undefined;
  readonly digest: Digest | '*' | undefined;
  readonly action: 'push' | 'delete' | '*';
}

/**
 * Reads `name[:tag][@digest]:action`, each part with `*`, as in `plant/*:*:push` and `*@*:*`
 * (ACR, "Send connected registry events to Event Grid").
 */
export function parseNotification(text: string): NotificationFilter | undefined {
  const [, name = '', tag, digestText, action] = /^([^:@]+)(?::([^:@]+))?(?:@(.+))?:(push|delete|\*)$/.exec(text) ?? [];
  const repository = parseRepositoryPattern(name);
  const digest = digestText === undefined || digestText === '*' ? digestText : parseDigest(digestText);
  if (!repository || (digestText !== undefined && !digest) || (tag !== undefined && !isTagGlob(tag))) return undefined;
  if (action !== 'push' && action !== 'delete' && action !== '*') return undefined;
  return { repository, tag, digest, action };
}
