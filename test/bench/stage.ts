import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createEdgeCertificates } from '../helpers/edge-certificates.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { startDockerRegistry, startNginx, startOurs, type Contender } from './contenders.ts';
import type { ServerSide } from './work.ts';

/** Where the rows find their servers and directories; what is started is started once, when the first row asks. */
export interface Stage {
  readonly seconds: number;
  /** Where a data volume with a million manifests is, or is to be made and kept; without: made and removed. */
  readonly million: string | undefined;
  /** A new directory, removed in the end. */
  directory(name: string): Promise<string>;
  /** One of the three with plain HTTP, or with TLS under one certificate (ECDSA P-256). */
  contender(side: ServerSide, protocol?: 'http' | 'https'): Promise<Contender>;
  /** The result of the first `make` under this name. */
  once<T>(name: string, make: () => Promise<T>): Promise<T>;
  /** Bytes that are the same for every side. */
  bytes(length: number): Promise<Buffer>;
  /** nginx' directory. */
  nginxDirectory(protocol?: 'http' | 'https'): string;
  /** Ended with the stage. */
  keep(contender: Contender): Contender;
  /** Called after the servers have ended. */
  closing(close: () => Promise<void>): void;
  close(): Promise<void>;
}

export async function openStage(options: Pick<Stage, 'seconds' | 'million'>): Promise<Stage> {
  const root = await temporaryDirectory();
  const made = new Map<string, Promise<unknown>>();
  const running: Contender[] = [];
  const closers: (() => Promise<void>)[] = [];
  const stage: Stage = {
    ...options,
    async directory(name) {
      const path = join(root, name);
      await mkdir(path, { recursive: true });
      return path;
    },
    once<T>(name: string, make: () => Promise<T>) {
      const known = made.get(name) ?? make();
      made.set(name, known);
      return known as Promise<T>;
    },
    bytes: (length) => stage.once(`bytes ${length}`, () => Promise.resolve(randomBytes(length))),
    nginxDirectory: (protocol = 'http') => join(root, `nginx-${protocol}`),
    contender: (side, protocol = 'http') =>
      stage.once(`${side} ${protocol}`, async () => {
        const certificate =
          protocol === 'https'
            ? await stage.once('certificate', async () => (await createEdgeCertificates()).issueServer(['127.0.0.1']))
            : undefined;
        const start = { ours: startOurs, 'docker-registry': startDockerRegistry, nginx: startNginx }[side];
        const directory = await stage.directory(`${side}-${protocol}`);
        return stage.keep(await start({ directory, ...(certificate && { certificate }) }));
      }),
    keep(contender) {
      running.push(contender);
      return contender;
    },
    closing: (close) => void closers.push(close),
    async close() {
      await Promise.all(running.map(({ program }) => program.stop()));
      for (const close of closers) await close();
      await rm(root, { recursive: true, force: true });
    },
  };
  return stage;
}
