import { limits } from './limits.ts';

/** scrypt cost: log2 of N, block size, parallelism (RFC 7914). */
export interface ScryptCost {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

export interface ScryptHash extends ScryptCost {
  readonly salt: Buffer;
  readonly key: Buffer;
}

const shape = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,171})$/;

/**
 * Reads a PHC string `$scrypt$ln=15,r=8,p=1$<salt>$<key>`; undefined for another form, or a cost that is guessed too
 * fast or stalls the device: 128·N·r·p bounds both memory and time.
 */
export function parseScryptHash(text: string): ScryptHash | undefined {
  const match = shape.exec(text);
  if (!match) return undefined;
  const [ln, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (ln < limits.scryptLnSmallest.value || r < 1 || p < 1) return undefined;
  if (128 * 2 ** ln * r * p > limits.scryptCostBytes.value) return undefined;
  const [salt, key] = [fromBase64(match[4]), fromBase64(match[5])];
  return salt && key && { ln, r, p, salt, key };
}

export function formatScryptHash({ ln, r, p, salt, key }: ScryptHash): string {
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
