export type TwinErrorCode =
  /** There is no connection at the moment. */
  | 'OFFLINE'
  /** No answer within the time limit. */
  | 'TIMEOUT'
  /** The hub said no; `status` is its answer. */
  | 'REFUSED';

/** Why the hub did not take something. */
export class TwinError extends Error {
  readonly code: TwinErrorCode;
  /** HTTP-like status of a refusal. */
  readonly status: number | undefined;

  constructor(code: TwinErrorCode, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'TwinError';
    this.code = code;
    this.status = options.status;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
