import { setMaxListeners } from 'node:events';
import type { Clock } from '../status/clock.ts';
import { fileSize } from './durable-files.ts';
import { uploadPath, type Tables } from './layout.ts';
import type { UploadRow } from './rows.ts';
import { asStorageError } from './storage-error.ts';
import { alone, createProgress, type Progress } from './upload-progress.ts';

/** The uploads this process has touched: what is known of each, and who works on it. */
export interface LiveUploads {
  /** Fires when the store closes. */
  readonly closing: AbortSignal;
  /** Also of an upload that nobody has touched yet. */
  rowOf(id: string): UploadRow | undefined;
  /** Every upload there is. */
  ids(): AsyncIterable<string>;
  /** A new upload. Throws UNAVAILABLE once the store is closed. */
  start(id: string, row: Omit<UploadRow, 'started'>): Progress;
  /** The upload of this id, also after a restart. */
  resume(id: string): Promise<Progress | undefined>;
  /** Work on an upload, alone, waited for by `close`. Throws what is to be answered: a RegistryError. */
  run<T>(progress: Progress, work: () => Promise<T>): Promise<T>;
  end(progress: Progress): void;
  /** Waits for all work, then does `letGo` with every upload left. */
  close(reason: Error, letGo: (progress: Progress) => Promise<void>): Promise<void>;
}

export function createLiveUploads(options: {
  readonly directory: string;
  readonly tables: Tables;
  readonly clock: Clock;
}): LiveUploads {
  const { directory, tables, clock } = options;
  const live = new Map<string, Progress>();
  const running = new Set<Promise<unknown>>();
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for every append that runs

  return {
    closing: closing.signal,

    rowOf: (id) => live.get(id)?.row ?? tables.upload.getSync(id),

    async *ids() {
      yield* [...live.keys()];
      for await (const id of tables.upload.keys()) if (!live.has(id)) yield id;
    },

    start(id, row) {
      closing.signal.throwIfAborted();
      return remember(createProgress(id, { ...row, started: clock.now().toISOString() }));
    },

    async resume(id) {
      const known = live.get(id);
      if (known) return known;
      const storedBytes = (await fileSize(uploadPath(directory, id))) ?? 0;
      const row = tables.upload.getSync(id); // read after the wait: the upload may have ended meanwhile
      return live.get(id) ?? (row && remember(createProgress(id, row, { storedBytes })));
    },

    async run(progress, work) {
      closing.signal.throwIfAborted();
      const task = alone(progress, work);
      running.add(task);
      try {
        return await task;
      } catch (error) {
        throw asStorageError(error);
      } finally {
        running.delete(task);
      }
    },

    end(progress) {
      progress.isOver = true;
      live.delete(progress.id);
    },

    async close(reason, letGo) {
      closing.abort(reason);
      await Promise.allSettled(running);
      for (const progress of live.values()) await letGo(progress).catch(() => undefined); // as after a crash
    },
  };

  function remember(progress: Progress): Progress {
    live.set(progress.id, progress);
    return progress;
  }
}
