export type LogFields = Readonly<Record<string, unknown>>;

/** What every room writes to. One sentence for people, fields for machines; secrets are redacted behind it. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
