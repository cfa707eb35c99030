import type { ArrivingBlob } from '../oci/arriving-blob.ts';
import { parseDigest } from '../oci/digest.ts';
import { platformOf } from '../oci/manifest.ts';
import { parseRepositoryName, parseTag } from '../oci/names.ts';
import type { MessageFeedAnswer } from './parent.ts';

/** The hints in an answer of the message feed. What makes no sense is left out: nobody depends on a hint. */
export function arrivingIn(value: unknown): MessageFeedAnswer['arriving'] {
  const { head, blobs } = fieldsOf(value);
  if (typeof head !== 'number' || !Number.isSafeInteger(head) || head < 0 || !Array.isArray(blobs)) return undefined;
  return { head, blobs: blobs.map(arrivingBlobIn).filter((blob) => blob !== undefined) };
}

function arrivingBlobIn(value: unknown): ArrivingBlob | undefined {
  const fields = fieldsOf(value);
  const text = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '');
  const repository = parseRepositoryName(text('repository'));
  const tag = parseTag(text('tag'));
  if (!tag && fields['tag'] !== undefined) return undefined;
  const [digest, { size }] = [parseDigest(text('digest')), fields];
  if (!repository || !digest || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  const platform = platformOf(fields['platform']);
  return { repository, ...(tag && { tag }), digest, size, ...(platform && { platform }) };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
