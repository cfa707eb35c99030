import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CannotRun } from './work.ts';

export interface MemoryCgroup {
  /** Starts a command inside the group: put in front of it. */
  readonly launcher: readonly string[];
  /** Once nothing runs in it any more. */
  remove(): Promise<void>;
}

const versions = [
  { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  { root: '/sys/fs/cgroup', limit: 'memory.max' },
];

/** A fresh memory control group (cgroup v1 or v2). Throws CannotRun where we may not make one. */
export async function createMemoryCgroup(name: string, limitBytes: number): Promise<MemoryCgroup> {
  const refusals: string[] = [];
  for (const { root, limit } of versions) {
    const directory = join(root, `${name}-${process.pid}`);
    try {
      await mkdir(directory);
      await writeFile(join(directory, limit), String(limitBytes));
      return {
        launcher: ['/bin/sh', '-c', `echo $$ > ${join(directory, 'cgroup.procs')} && exec "$@"`, 'sh'],
        remove: () => rmdir(directory),
      };
    } catch (error) {
      await rmdir(directory).catch(() => undefined);
      refusals.push((error as NodeJS.ErrnoException).code ?? String(error));
    }
  }
  throw new CannotRun(`no memory cgroup may be made here (v1: ${refusals[0]}, v2: ${refusals[1]})`);
}
