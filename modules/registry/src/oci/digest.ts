import { createHash, type Hash } from 'node:crypto';

declare const digestBrand: unique symbol;
/** `sha256:<64 hex>` or `sha512:<128 hex>`, checked. */
export type Digest = string & { readonly [digestBrand]: true };

/** The registered algorithms this registry stores (image-spec, "Digests"). */
export const digestAlgorithms = { sha256: 64, sha512: 128 } as const;
export type DigestAlgorithm = keyof typeof digestAlgorithms;

const shapes: Record<DigestAlgorithm, RegExp> = { sha256: /^[a-f0-9]{64}$/, sha512: /^[a-f0-9]{128}$/ };

/** The digest in `text`, or undefined when it is not one of a supported algorithm. */
export function parseDigest(text: string): Digest | undefined {
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, colon);
  if (!isDigestAlgorithm(algorithm)) return undefined;
  return shapes[algorithm].test(text.slice(colon + 1)) ? (text as Digest) : undefined;
}

export function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return Object.hasOwn(digestAlgorithms, text);
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
}

/** The hexadecimal part. */
export function encodedOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** A running hash of `algorithm`; finish it with `digestFrom`. */
export function startHash(algorithm: DigestAlgorithm): Hash {
  return createHash(algorithm);
}

/** Ends `hash`. Use `hash.copy()` first when it has to go on. */
export function digestFrom(algorithm: DigestAlgorithm, hash: Hash): Digest {
  return `${algorithm}:${hash.digest('hex')}` as Digest;
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return digestFrom(algorithm, startHash(algorithm).update(bytes));
}
