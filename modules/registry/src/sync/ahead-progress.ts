import type { Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Clock } from '../status/clock.ts';
import { createPassProgress, type PassProgress } from './progress.ts';
import type { TransferProgress } from './transfer-blob.ts';

/** How much came, of how much. */
export type TransferCounts = Pick<PassProgress, 'blobsDone' | 'blobsTotal' | 'bytesDone' | 'bytesTotal'>;

/** What comes ahead of a pass, until a pass counts it as its own: nothing is in both. */
export interface AheadProgress {
  readonly counts: TransferCounts;
  readonly isUnderWay: boolean;
  /** When the first of what is counted began to come. */
  readonly start: Date | undefined;
  /** What has crossed the link of those that began to come at `since` or later. */
  movedBytes(since: Date): number;
  /** Counts one transfer; `end`: nothing more comes of it. */
  begin(repository: RepositoryName): TransferProgress & { end(): void };
  /** A pass begins: it counts what is here, and will find what broke off. */
  handOver(pass: PassProgress): void;
}

interface Entry {
  readonly repository: RepositoryName;
  readonly blob: Descriptor;
  readonly start: Date;
  readonly progress: PassProgress;
  isOver: boolean;
}

export function createAheadProgress(options: {
  readonly clock: Pick<Clock, 'now'>;
  readonly onChange: () => void;
  /** Of the pass that is at work; undefined: none is. */
  readonly pass: () => PassProgress | undefined;
}): AheadProgress {
  const { clock, onChange, pass } = options;
  /** In the order in which they began; what is tried again takes the place of what broke off. */
  const entries = new Map<Digest, Entry>();

  function settle({ repository, blob, start, progress }: Entry, to: PassProgress): void {
    entries.delete(blob.digest);
    if (progress.blobsDone === 0) return;
    const counted = to.transfersOf(repository);
    const crossed = to.moved && start >= to.moved.since ? bytesOf(progress) : 0;
    counted.found(blob);
    counted.resumed(blob.size - crossed);
    counted.received(crossed);
    counted.done(blob);
  }

  const sum = (key: keyof TransferCounts): number =>
    [...entries.values()].reduce((total, { progress }) => total + progress[key], 0);

  return {
    get counts() {
      return {
        blobsDone: sum('blobsDone'),
        blobsTotal: sum('blobsTotal'),
        bytesDone: sum('bytesDone'),
        bytesTotal: sum('bytesTotal'),
      };
    },
    get isUnderWay() {
      return [...entries.values()].some(({ isOver }) => !isOver);
    },
    get start() {
      const [first] = entries.values();
      return first?.start;
    },
    movedBytes(since) {
      return [...entries.values()].reduce(
        (sum, { start, progress }) => sum + (start >= since ? bytesOf(progress) : 0),
        0,
      );
    },
    begin(repository) {
      const progress = createPassProgress({ onChange });
      let entry: Entry | undefined;
      return {
        resumed: (sizeBytes) => progress.resumed(sizeBytes),
        received: (sizeBytes) => progress.received(sizeBytes),
        done: (blob) => progress.done(blob),
        found(blob) {
          entry = { repository, blob, start: clock.now(), progress, isOver: false };
          entries.delete(blob.digest);
          entries.set(blob.digest, entry);
          progress.begin(entry.start);
          progress.found(blob);
        },
        end() {
          if (!entry) return;
          entry.isOver = true;
          const running = pass();
          if (running) settle(entry, running);
          onChange();
        },
      };
    },
    handOver(to) {
      for (const entry of entries.values()) if (entry.isOver) settle(entry, to);
    },
  };
}

function bytesOf({ moved }: PassProgress): number {
  return moved?.bytes ?? 0;
}
