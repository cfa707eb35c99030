/** Who takes part. */
export type Side = 'ours' | 'docker-registry' | 'nginx' | 'skopeo';
export const sides: readonly Side[] = ['ours', 'docker-registry', 'nginx', 'skopeo'];

/** Those that serve. */
export type ServerSide = Exclude<Side, 'skopeo'>;

/** One row of the table. */
export interface Work {
  readonly name: string;
  readonly unit: 'MB/s' | '/s' | 'MB' | 'ms' | '×';
  readonly goal: Goal;
  /** Rounds when fewer are enough for what hardly varies, or takes long; the command line's otherwise. */
  readonly rounds?: number;
  /** One measurement each; a side that is missing has no part in it. Throws CannotRun where the machine does not allow it. */
  readonly measure: Readonly<Partial<Record<Side, () => Promise<number>>>>;
}

/** Ratios to the peers in the same round, for rates; a limit of our own figure, upwards or downwards, or less. */
export interface Goal {
  readonly timesDockerRegistry?: number;
  readonly timesNginx?: number;
  readonly timesSkopeo?: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Coming to an end is what counts. */
  readonly finishes?: true;
}

/** What this machine does not let us measure. */
export class CannotRun extends Error {}
