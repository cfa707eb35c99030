import { writeFile } from 'node:fs/promises';

/** The names a device knows: an `/etc/hosts` for programs of the tests, in place of the machine's own. */
export interface HostsFile {
  /** What starts a program that knows these names alone; it ends by the same signals. Needs root. */
  readonly command: (program: string, args: readonly string[]) => { command: string; arguments: string[] };
  /** Counts for programs that run, too, as soon as they look a name up again. */
  readonly set: (addresses: Readonly<Record<string, string>>) => Promise<void>;
}

export async function createHostsFile(
  file: string,
  addresses: Readonly<Record<string, string>> = {},
): Promise<HostsFile> {
  const hosts: HostsFile = {
    // In a mount namespace of the program's own, gone with it.
    command: (program, args) => ({
      command: 'unshare',
      arguments: ['--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', file, program, ...args],
    }),
    // In place: what is mounted is this file, not its name.
    set: (named) =>
      writeFile(
        file,
        Object.entries({ localhost: '127.0.0.1', ...named })
          .map(([name, address]) => `${address} ${name}\n`)
          .join(''),
      ),
  };
  await hosts.set(addresses);
  return hosts;
}
