import type { BlobUpload } from '../oci/registry.ts';

/** A blob on its way into a target: its bytes can be read while they arrive, over every cut and new start. */
export interface Arrival {
  /** So far. */
  readonly receivedBytes: number;
  /** How often what had been received was thrown away as wrong. */
  readonly discards: number;
  /** As `BlobUpload.read`. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Resolves at the next news. */
  changed(): Promise<void>;
  wake(): void;
}

/** The side of who brings the bytes. */
export interface ArrivalRecorder extends Arrival {
  /** Undefined: between two tries. */
  receiveInto(upload: BlobUpload | undefined): void;
  standAt(receivedBytes: number): void;
  discard(): void;
}

export function createArrival(): ArrivalRecorder {
  let upload: BlobUpload | undefined;
  let receivedBytes = 0;
  let discards = 0;
  let waiting: (() => void)[] = [];

  function wake(): void {
    const woken = waiting;
    waiting = [];
    for (const resolve of woken) resolve();
  }

  return {
    get receivedBytes() {
      return receivedBytes;
    },
    get discards() {
      return discards;
    },
    read: async (buffer, position) => (await upload?.read?.(buffer, position)) ?? 0,
    changed: () => new Promise((resolve) => waiting.push(resolve)),
    wake,
    receiveInto(next) {
      upload = next;
      receivedBytes = next?.offset ?? receivedBytes;
      wake();
    },
    standAt(position) {
      receivedBytes = position;
      wake();
    },
    discard() {
      discards += 1;
      receivedBytes = 0;
      wake();
    },
  };
}
