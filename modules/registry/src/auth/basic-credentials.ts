import type { Credentials } from '../settings/settings.ts';

/** Text before the first colon, and the rest; neither with control characters (RFC 7617, 2). */
const shape = /^([^:\x00-\x1f\x7f]+):([^\x00-\x1f\x7f]*)$/;

/** Name and password of a Basic `Authorization` value, after the scheme (RFC 7617, UTF-8); undefined when malformed. */
export function parseBasicCredentials(encoded: string): Credentials | undefined {
  const bytes = Buffer.from(encoded, 'base64');
  if (withoutPadding(bytes.toString('base64')) !== withoutPadding(encoded)) return undefined;
  const [, name, password] = shape.exec(decode(bytes) ?? '') ?? [];
  return name === undefined || password === undefined ? undefined : { name, password };
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function withoutPadding(text: string): string {
  return text.replace(/={1,2}$/, '');
}
