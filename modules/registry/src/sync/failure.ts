import { RegistryError } from '../errors.ts';
import { ParentError } from '../parent/parent.ts';
import type { DetailCode } from './details.ts';

/** What an error means for the pass it happened in. */
export interface Failure {
  readonly code: DetailCode;
  readonly message: string;
  /**
   * `pass`: nothing else would fare better, so stop · `ask`: stop when the parent answers nothing else either ·
   * `repository`: the others go on.
   */
  readonly reach: 'pass' | 'ask' | 'repository';
  readonly retryAfterMs: number;
}

const parentFailures = {
  unreachable: { code: 'PARENT_UNREACHABLE', reach: 'ask' },
  unauthorized: { code: 'PARENT_UNAUTHORIZED', reach: 'ask' },
  denied: { code: 'PARENT_DENIED', reach: 'repository' },
  held: { code: 'ALREADY_ACTIVATED', reach: 'pass' },
  unfit: { code: 'ACTIVATION_REFUSED', reach: 'pass' },
  throttled: { code: 'PARENT_THROTTLED', reach: 'pass' },
  refused: { code: 'PARENT_REFUSED', reach: 'repository' },
  broken: { code: 'PARENT_BROKEN', reach: 'ask' },
} as const;

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ParentError) {
    return { ...parentFailures[error.failure], message, retryAfterMs: (error.retryAfterSeconds ?? 0) * 1000 };
  }
  if (error instanceof RegistryError && error.code === 'STORAGE_FULL') {
    return { code: 'DISK_FULL', message, reach: 'pass', retryAfterMs: 0 };
  }
  return { code: 'REPOSITORY_FAILED', message, reach: 'repository', retryAfterMs: 0 };
}
