import { hasCode } from './storage-error.ts';

/** LevelDB tells it only in its message. */
const denied = /permission denied/i;

/**
 * A data volume that this process may not write, told by a file or by LevelDB, as an error that names the cure;
 * every other error as it is.
 */
export function asVolumeError(error: unknown, directory: string): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (hasCode(cause, 'EROFS')) {
      return new Error(`the data volume ${directory} is read-only: mount a writable volume there`, { cause: error });
    }
    if (hasCode(cause, 'EACCES') || hasCode(cause, 'EPERM') || denied.test(cause.message)) {
      const user = `${String(process.getuid?.())}:${String(process.getgid?.())}`;
      return new Error(
        `the data volume ${directory} cannot be written by user ${user}: ` +
          `chown -R ${user} the folder on the host, or mount a new named volume`,
        { cause: error },
      );
    }
  }
  return error;
}
