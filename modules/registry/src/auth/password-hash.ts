import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';

/** scrypt cost: log2 of N, block size, parallelism (RFC 7914). */
export interface ScryptCost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

export interface PasswordHash extends ScryptCost {
  readonly salt: Buffer;
  readonly key: Buffer;
}

/** 32 MB and 50-100 ms on the machines we know. */
export const defaultCost: ScryptCost = { ln: 15, r: 8, p: 1 };

/** 128·N·r·p, which bounds memory and time: a hostile document must not stall the device. OWASP's costs all fit. */
export const costLimitBytes = 128 * 1024 * 1024;
const lnSmallest = 10;
const saltBytes = 16;
const keyBytes = 32;

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);
const shape = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,171})$/;

/** Reads a PHC string `$scrypt$ln=15,r=8,p=1$<salt>$<key>`; undefined for another form or a cost out of bounds. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = shape.exec(text);
  if (!match) return undefined;
  const [ln, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (ln < lnSmallest || r < 1 || p < 1 || 128 * 2 ** ln * r * p > costLimitBytes) return undefined;
  const [salt, key] = [fromBase64(match[4]), fromBase64(match[5])];
  return salt && key && { ln, r, p, salt, key };
}

/** The PHC string of `password` under a fresh salt. Throws RangeError when the cost is out of bounds. */
export async function hashPassword(password: string, options: Partial<ScryptCost> = {}): Promise<string> {
  const cost = { ...defaultCost, ...options };
  const salt = randomBytes(saltBytes);
  const shell = parsePasswordHash(formatHash({ ...cost, salt, key: Buffer.alloc(keyBytes) }));
  if (!shell) throw new RangeError('scrypt cost out of bounds');
  return formatHash({ ...shell, key: await keyOf(password, shell) });
}

/** Whether `password` is the one behind `hash`, in constant time; false for a hash that cannot be read. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const parsed = parsePasswordHash(hash);
  return parsed !== undefined && timingSafeEqual(await keyOf(password, parsed), parsed.key);
}

/** 48 characters, 192 bits. Hexadecimal: safe in URLs, connection strings and shells, where a leading `-` is not. */
export function generatePassword(): string {
  return randomBytes(24).toString('hex');
}

/** A hash at the default cost that no password is known for: it takes as long to check as a real one. */
export function decoyHash(): string {
  return formatHash({ ...defaultCost, salt: randomBytes(saltBytes), key: randomBytes(keyBytes) });
}

function keyOf(password: string, { ln, r, p, salt, key }: PasswordHash): Promise<Buffer> {
  const N = 2 ** ln;
  return derive(password, salt, key.length, { N, r, p, maxmem: 128 * r * (N + p + 2) });
}

function formatHash({ ln, r, p, salt, key }: PasswordHash): string {
  return `$scrypt$ln=${ln},r=${r},p=${p}$${toBase64(salt)}$${toBase64(key)}`;
}

function toBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}

/** Without padding; undefined when it is not what encoding the bytes gives. */
function fromBase64(text = ''): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return toBase64(bytes) === text ? bytes : undefined;
}
