import { RegistryError } from '../errors.ts';

/** LevelDB tells a full disk only in its message. */
const fullDisk = /no space left|disk quota exceeded/i;

/** A full disk or quota, told by a file or by LevelDB, as STORAGE_FULL; every other error as it is. */
export function asStorageError(error: unknown): Error {
  for (let cause = error; cause instanceof Error && !(cause instanceof RegistryError); cause = cause.cause) {
    if (hasCode(cause, 'ENOSPC') || hasCode(cause, 'EDQUOT') || fullDisk.test(cause.message)) {
      return new RegistryError('STORAGE_FULL', { cause: error });
    }
  }
  return error instanceof Error ? error : new Error(String(error));
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
