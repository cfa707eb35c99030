import { limits } from './limits.ts';

const shape = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,171})$/;

/** Whether `text` is a scrypt hash in PHC form at a cost that is neither guessed at once nor stalls the device. */
export function isScryptHash(text: string): boolean {
  const [, ln, r, p, salt, key] = shape.exec(text) ?? [];
  const { scryptLnSmallest, scryptLnLargest, scryptBlockSize, scryptParallelism } = limits;
  return (
    within(ln, scryptLnSmallest.value, scryptLnLargest.value) &&
    within(r, 1, scryptBlockSize.value) &&
    within(p, 1, scryptParallelism.value) &&
    isBase64(salt) &&
    isBase64(key)
  );
}

function within(digits: string | undefined, smallest: number, largest: number): boolean {
  return digits !== undefined && Number(digits) >= smallest && Number(digits) <= largest;
}

/** Without padding; one character left over is no byte. */
function isBase64(text: string | undefined): boolean {
  return text !== undefined && text.length % 4 !== 1;
}
