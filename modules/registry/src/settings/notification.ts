import { parseDigest, type Digest } from '../oci/digest.ts';
import type { RepositoryName, Tag } from '../oci/names.ts';
import { matchesGlob, matchesPattern, parseRepositoryPattern, type RepositoryPattern } from '../oci/pattern.ts';
import { isTagGlob } from './repository-rules.ts';

/** Which events are told to the cloud; a part left out is undefined and asks for nothing. */
export interface NotificationFilter {
  readonly repository: RepositoryPattern;
  readonly tag: string | undefined;
  readonly digest: Digest | '*' | undefined;
  readonly action: 'push' | 'delete' | '*';
}

/** Something that happened to an artifact here. A deleted manifest has no tag left, a removed tag no digest. */
export interface ArtifactEvent {
  readonly action: 'push' | 'delete';
  readonly repository: RepositoryName;
  readonly tag?: Tag;
  readonly digest?: Digest;
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

/**
 * Whether `filter` asks for `event`. A tag part asks for events that name a tag (so `plant/*:*:push` is silent about
 * the platforms of an index), and `*` also for a deleted manifest, which took its tags with it.
 */
export function matchesNotification(filter: NotificationFilter, event: ArtifactEvent): boolean {
  if (filter.action !== '*' && filter.action !== event.action) return false;
  if (!matchesPattern(filter.repository, event.repository)) return false;
  return matchesTag(filter.tag, event) && matchesDigest(filter.digest, event);
}

function matchesTag(glob: string | undefined, { action, tag }: ArtifactEvent): boolean {
  if (glob === undefined) return true;
  return tag === undefined ? glob === '*' && action === 'delete' : matchesGlob(glob, tag);
}

function matchesDigest(wanted: Digest | '*' | undefined, { digest }: ArtifactEvent): boolean {
  if (wanted === undefined) return true;
  return wanted === '*' ? digest !== undefined : digest === wanted;
}
