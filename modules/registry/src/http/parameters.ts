import { RegistryError } from '../errors.ts';
import { parseDigest } from '../oci/digest.ts';
import { parseReference, parseRepositoryName, parseTag } from '../oci/names.ts';
import type { PathParameters } from './endpoint.ts';

/**
 * Throws NAME_INVALID, DIGEST_INVALID, TAG_INVALID, MANIFEST_UNKNOWN or BLOB_UPLOAD_UNKNOWN; what comes back fits its grammar.
 * Under a reference that can be no tag nothing can be pushed (400), so nothing is found (404, as end-3 and end-9 have it).
 */
export function parseParameters(raw: Readonly<Record<string, string>>, method: string): PathParameters {
  const parsed: { -readonly [K in keyof PathParameters]?: PathParameters[K] } = {};
  for (const key in raw) {
    const encoded = raw[key] ?? '';
    const text = decode(encoded) ?? '';
    if (key === 'name') parsed.name = parseRepositoryName(text) ?? refuse('NAME_INVALID', encoded);
    if (key === 'digest') parsed.digest = parseDigest(text) ?? refuseDigest(encoded);
    if (key === 'reference') {
      parsed.reference =
        parseReference(text) ??
        (text.includes(':')
          ? refuseDigest(encoded)
          : refuse(method === 'PUT' ? 'TAG_INVALID' : 'MANIFEST_UNKNOWN', encoded));
    }
    if (key === 'tag') parsed.tag = parseTag(text) ?? refuse('TAG_INVALID', encoded);
    if (key === 'registry') parsed.registry = registryShape.test(text) ? text : refuse('NAME_INVALID', encoded);
    if (key === 'upload') parsed.upload = uploadShape.test(text) ? text : refuse('BLOB_UPLOAD_UNKNOWN', encoded);
  }
  // Sound because `endpoint()` lets a handler read only what its own path names.
  return parsed as PathParameters;
}

/** A connected registry's name (ACR: 5 to 50 letters and digits). */
const registryShape = /^[a-zA-Z0-9]{5,50}$/;
const uploadShape = /^[0-9a-zA-Z-]{1,64}$/;

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function refuse(
  code: 'NAME_INVALID' | 'TAG_INVALID' | 'MANIFEST_UNKNOWN' | 'BLOB_UPLOAD_UNKNOWN',
  value: string,
): never {
  throw new RegistryError(code, { detail: { value } });
}

/** A digest in a path that is none: wrong grammar, or an algorithm this registry does not store. */
export function refuseDigest(value: string): never {
  throw new RegistryError('DIGEST_INVALID', { message: 'invalid digest', detail: { digest: value } });
}
