import type { RepositoryName } from '../oci/names.ts';
import type { RepositoryProgress, SyncStatus } from '../status/sync-status.ts';
import type { CopyProgress } from './copy-image.ts';

/** What the running (or last) pass has done so far. Totals grow as manifests are read. */
export interface PassProgress extends CopyProgress {
  readonly blobsDone: number;
  readonly blobsTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Since the running step began; undefined: none has. */
  readonly moved: SyncStatus['moved'];
  readonly repositories: readonly RepositoryProgress[];
  /** A step begins to move bytes. */
  begin(now: Date): void;
  repository(name: RepositoryName): RepositoryRow;
  /** Counts what crosses the link for one repository: in its row, where it has one, and in all. */
  transfersOf(name: RepositoryName): CopyProgress;
  /** Everything is looked at anew: forgets the rows of earlier passes. */
  startOver(): void;
  /** The pass is over: what it was at waits for the next one. */
  rest(): void;
}

/** One repository of a pass. Failed once anything in it failed. */
export interface RepositoryRow {
  tagsFound(count: number): void;
  tagInSync(): void;
  fail(message: string): void;
  /** So many tags are here, in place of what was counted; `failed` others should be. */
  count(tagsInSync: number, failed: number): void;
  /** Nothing more will be done in it: `InSync` unless it failed. */
  end(): void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Bytes between two calls of `onChange` while one large blob is on its way. */
const noticeBytes = 8 * 1024 * 1024;

export function createPassProgress(options: {
  readonly onChange: () => void;
  /** Of earlier passes, as a pass that looks at changes only adds to them. */
  readonly rows?: readonly RepositoryProgress[];
}): PassProgress {
  const { onChange } = options;
  const counts = { blobsDone: 0, blobsTotal: 0, bytesDone: 0, bytesTotal: 0 };
  const rows = new Map<string, Mutable<RepositoryProgress>>((options.rows ?? []).map((row) => [row.name, { ...row }]));
  let moved: SyncStatus['moved'];
  let noticedBytes = 0;

  function addDone(sizeBytes: number): void {
    counts.bytesDone += sizeBytes;
    if (Math.abs(counts.bytesDone - noticedBytes) < noticeBytes) return;
    noticedBytes = counts.bytesDone;
    onChange();
  }

  const counting: CopyProgress = {
    found({ size }) {
      counts.blobsTotal += 1;
      counts.bytesTotal += size;
      onChange();
    },
    resumed: addDone,
    received(sizeBytes) {
      if (moved) moved = { ...moved, bytes: moved.bytes + sizeBytes };
      addDone(sizeBytes);
    },
    done() {
      counts.blobsDone += 1;
      onChange();
    },
  };

  return {
    ...counting,
    get blobsDone() {
      return counts.blobsDone;
    },
    get blobsTotal() {
      return counts.blobsTotal;
    },
    get bytesDone() {
      return counts.bytesDone;
    },
    get bytesTotal() {
      return counts.bytesTotal;
    },
    get moved() {
      return moved;
    },
    begin(now) {
      moved = { since: now, bytes: 0 };
    },
    get repositories() {
      return [...rows.values()].map((row) => ({ ...row }));
    },
    transfersOf(name) {
      const add = (key: 'bytesDone' | 'bytesTotal', sizeBytes: number): void => {
        const row = rows.get(name);
        if (row) row[key] = (row[key] ?? 0) + sizeBytes;
      };
      return {
        found(blob) {
          add('bytesTotal', blob.size);
          counting.found(blob);
        },
        resumed(sizeBytes) {
          add('bytesDone', sizeBytes);
          counting.resumed(sizeBytes);
        },
        received(sizeBytes) {
          add('bytesDone', sizeBytes);
          counting.received(sizeBytes);
        },
        done: (blob) => counting.done(blob),
      };
    },
    startOver() {
      rows.clear();
    },
    rest() {
      for (const row of rows.values()) if (row.state === 'Syncing') row.state = 'Pending';
    },
    repository(name) {
      const row: Mutable<RepositoryProgress> = rows.get(name) ?? {
        name,
        state: 'Syncing',
        tagsInSync: 0,
        tagsTotal: 0,
      };
      row.state = 'Syncing';
      delete row.lastError;
      delete row.bytesDone;
      delete row.bytesTotal;
      rows.set(name, row);
      onChange();
      return {
        tagsFound(count) {
          row.tagsTotal += count;
        },
        tagInSync() {
          row.tagsInSync += 1;
          onChange();
        },
        fail(message) {
          row.state = 'Failed';
          row.lastError = message;
          onChange();
        },
        count(tagsInSync, failed) {
          row.tagsInSync = tagsInSync;
          row.tagsTotal = tagsInSync + failed;
        },
        end() {
          if (row.state === 'Syncing') row.state = 'InSync';
          onChange();
        },
      };
    },
  };
}
