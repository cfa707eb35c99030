import winston from 'winston';
import type { LogLevel } from '../settings/settings.ts';
import { systemClock, type Clock } from './clock.ts';
import type { Log, LogFields } from './log.ts';
import { formatLine, type Severity } from './log-line.ts';

export interface CreateLogOptions {
  /** Default: standard output. */
  readonly stream?: NodeJS.WritableStream;
  /** Default `Information`. */
  readonly level?: LogLevel;
  readonly clock?: Pick<Clock, 'now'>;
}

export interface LeveledLog extends Log {
  /** The process is about to end because of this. */
  fatal(message: string, fields?: LogFields): void;
  /** Takes effect with the next line. */
  setLevel(level: LogLevel): void;
}

const ranks: Record<Severity, number> = { fatal: 0, error: 1, warn: 2, info: 3, debug: 4 };
const thresholds = { Debug: 'debug', Information: 'info', Warning: 'warn', Error: 'error' } as const;

/** The log of the whole process: one line an event, in edgeHub's form, secrets redacted. */
export function createLog(options: CreateLogOptions = {}): LeveledLog {
  const { stream = process.stdout, level = 'Information', clock = systemClock } = options;
  const logger = winston.createLogger({
    levels: ranks,
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston types the instance as its class
    transports: [new winston.transports.Stream({ stream })],
    format: winston.format.printf(({ message }) => String(message)),
  });

  const write = (severity: Severity, message: string, fields: LogFields = {}): void => {
    if (!logger.silent && logger.isLevelEnabled(severity)) {
      logger.log({ level: severity, message: formatLine(clock.now(), severity, message, fields) });
    }
  };
  const setLevel = (to: LogLevel): void => {
    logger.silent = to === 'None';
    if (to !== 'None') logger.level = thresholds[to];
  };
  setLevel(level);

  return {
    fatal: (message, fields) => write('fatal', message, fields),
    error: (message, fields) => write('error', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    info: (message, fields) => write('info', message, fields),
    debug: (message, fields) => write('debug', message, fields),
    setLevel,
  };
}

const runtimeLevels: Readonly<Record<string, LogLevel>> = {
  fatal: 'Error',
  error: 'Error',
  warning: 'Warning',
  warn: 'Warning',
  info: 'Information',
  debug: 'Debug',
  verbose: 'Debug',
};

/** IoT Edge's `RuntimeLogLevel` (`info`, `debug`, `info,edge_hub=debug`) as ours; `Information` when absent or unknown. */
export function levelFromRuntime(text: string | undefined): LogLevel {
  const directive = (text ?? '').split(',').find((part) => !part.includes('=')) ?? '';
  return runtimeLevels[directive.trim().toLowerCase()] ?? 'Information';
}
