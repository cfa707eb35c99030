import type { IncomingMessage } from 'node:http';
import type { Digest } from '../oci/digest.ts';

/** Content here never changes under its digest, so the digest is the strongest entity tag there is. */
export function etagOf(digest: Digest): string {
  return `"${digest}"`;
}

/** Whether the client holds it already: answer 304 (RFC 9110, 13.1.2; weak comparison). */
export function isUnmodified(request: IncomingMessage, etag: string): boolean {
  const header = request.headers['if-none-match'];
  if (header === undefined) return false;
  return header.split(',').some((part) => part.trim() === '*' || part.trim().replace(/^W\//, '') === etag);
}

/** The `Range` header where it counts: on GET, and under `If-Range` only for the very same content (RFC 9110, 13.1.5). */
export function rangeHeaderOf(request: IncomingMessage, etag: string): string | undefined {
  const condition = request.headers['if-range'];
  return request.method === 'GET' && (condition === undefined || condition === etag)
    ? request.headers.range
    : undefined;
}
