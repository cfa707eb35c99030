import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';
import { formatScryptHash, parseScryptHash, type ScryptCost, type ScryptHash } from '../settings/scrypt-hash.ts';

/** 32 MB and 50-100 ms on the machines we know. */
export const defaultCost: ScryptCost = { ln: 15, r: 8, p: 1 };

const saltBytes = 16;
const keyBytes = 32;

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** The PHC string of `password` under a fresh salt. Throws RangeError when the cost is out of bounds. */
export async function hashPassword(password: string, options: Partial<ScryptCost> = {}): Promise<string> {
  const cost = { ...defaultCost, ...options };
  const salt = randomBytes(saltBytes);
  const shell = parseScryptHash(formatScryptHash({ ...cost, salt, key: Buffer.alloc(keyBytes) }));
  if (!shell) throw new RangeError('scrypt cost out of bounds');
  return formatScryptHash({ ...shell, key: await keyOf(password, shell) });
}

/** Whether `password` is the one behind `hash`, in constant time; false for a hash that cannot be read. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const parsed = parseScryptHash(hash);
  return parsed !== undefined && timingSafeEqual(await keyOf(password, parsed), parsed.key);
}

/** 48 characters, 192 bits. Hexadecimal: safe in URLs, connection strings and shells, where a leading `-` is not. */
export function generatePassword(): string {
  return randomBytes(24).toString('hex');
}

/** A hash at the default cost that no password is known for: it takes as long to check as a real one. */
export function decoyHash(): string {
  return formatScryptHash({ ...defaultCost, salt: randomBytes(saltBytes), key: randomBytes(keyBytes) });
}

function keyOf(password: string, { ln, r, p, salt, key }: ScryptHash): Promise<Buffer> {
  const N = 2 ** ln;
  return derive(password, salt, key.length, { N, r, p, maxmem: 128 * r * (N + p + 2) });
}
