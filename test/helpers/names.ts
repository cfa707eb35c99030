import { parseDigest, type Digest } from '../../modules/registry/src/oci/digest.ts';
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from '../../modules/registry/src/oci/names.ts';

/** Branded words for tests; they throw on a typo in the test itself. */
export function repository(text: string): RepositoryName {
  return parseRepositoryName(text) ?? fail('repository name', text);
}

export function tag(text: string): Tag {
  return parseTag(text) ?? fail('tag', text);
}

export function digest(text: string): Digest {
  return parseDigest(text) ?? fail('digest', text);
}

function fail(kind: string, text: string): never {
  throw new Error(`${JSON.stringify(text)} is not a ${kind}`);
}
