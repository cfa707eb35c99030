import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Clock } from '../status/clock.ts';
import type { LiveUploads } from './live-uploads.ts';
import { settle, takeOver } from './other-writer.ts';
import type { UploadSession } from './store.ts';
import type { UploadContent } from './upload-content.ts';
import { offsetOf, type Progress } from './upload-progress.ts';

export interface SessionLimits {
  /** More bytes than these are refused. */
  readonly limitBytes?: number;
  /** Called once the holder of the session is done with it. */
  readonly endTurn?: () => void;
}

interface Rooms {
  readonly live: Pick<LiveUploads, 'run' | 'closing'>;
  readonly content: UploadContent;
  readonly clock: Clock;
}

/** What makes the sessions of a store: an upload in the hands of one who adds to it, into a repository. */
export function createSessions(
  rooms: Rooms,
): (progress: Progress, repository: RepositoryName, limits?: SessionLimits) => UploadSession {
  return (progress, repository, limits = {}) => new Session(rooms, progress, repository, limits);
}

/** A class, as every request has one: its functions are made once. */
class Session implements UploadSession {
  readonly id: string;
  readonly #rooms: Rooms;
  readonly #progress: Progress;
  readonly #repository: RepositoryName;
  readonly #limits: SessionLimits;

  constructor(rooms: Rooms, progress: Progress, repository: RepositoryName, limits: SessionLimits) {
    this.id = progress.id;
    this.#rooms = rooms;
    this.#progress = progress;
    this.#repository = repository;
    this.#limits = limits;
  }

  get offset(): number {
    return offsetOf(this.#progress);
  }

  append(...[source, { signal, isOurs = false } = {}]: Parameters<UploadSession['append']>): Promise<void> {
    const { live, content } = this.#rooms;
    const { limitBytes = Infinity } = this.#limits;
    return live.run(this.#progress, () => content.append(this.#progress, source, { signal, limitBytes, isOurs }));
  }

  settle(): Promise<void> {
    return settle(this.#progress, this.#rooms.clock);
  }

  takeOver(): Promise<void> {
    return takeOver(this.#progress, this.#rooms.clock);
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#rooms.content.read(this.#progress, buffer, position);
  }

  async commit(digest: Digest): Promise<void> {
    const { live, content } = this.#rooms;
    try {
      await live.run(this.#progress, () => content.place(this.#progress, this.#repository, digest));
    } finally {
      if (this.#progress.isOver) this.#endTurn();
    }
  }

  async cancel(): Promise<void> {
    const { live, content } = this.#rooms;
    await live.run(this.#progress, () => content.discard(this.#progress));
    this.#endTurn();
  }

  async release(): Promise<void> {
    const { live, content } = this.#rooms;
    const progress = this.#progress;
    try {
      const isIdle = !progress.work && !progress.isOver && !live.closing.aborted; // else others look after it
      if (isIdle) await live.run(progress, () => content.letGo(progress));
    } finally {
      this.#endTurn();
    }
  }

  #endTurn(): void {
    this.#limits.endTurn?.();
  }
}
