import { parseDigest, type Digest } from './digest.ts';

declare const repositoryBrand: unique symbol;
declare const tagBrand: unique symbol;
/** A checked repository name, such as `plant/hello`. */
export type RepositoryName = string & { readonly [repositoryBrand]: true };
/** A checked tag. */
export type Tag = string & { readonly [tagBrand]: true };
export type Reference = Tag | Digest;

/** distribution-spec 1.1, "Pulling manifests": name and reference grammar. */
const repositoryShape = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagShape = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** Clients cap host + "/" + name at 255 characters. */
export const repositoryNameLimit = 255;

export function parseRepositoryName(text: string): RepositoryName | undefined {
  return text.length <= repositoryNameLimit && repositoryShape.test(text) ? (text as RepositoryName) : undefined;
}

export function parseTag(text: string): Tag | undefined {
  return tagShape.test(text) ? (text as Tag) : undefined;
}

/** A digest when it looks like one, else a tag, else undefined. */
export function parseReference(text: string): Reference | undefined {
  return text.includes(':') ? parseDigest(text) : parseTag(text);
}

export function isDigest(reference: Reference): reference is Digest {
  return reference.includes(':');
}

/**
 * The tag under which registries without a referrers API list what refers to `subject`
 * (distribution-spec 1.1, "Referrers Tag Schema"): algorithm cut at 32, encoded part at 64 characters.
 */
export function referrersTag(subject: Digest): Tag {
  const [algorithm = '', encoded = ''] = subject.split(':');
  return `${algorithm.slice(0, 32)}-${encoded.slice(0, 64)}`.replace(/[^a-zA-Z0-9._-]/g, '-') as Tag;
}
