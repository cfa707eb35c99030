import type { LogFields } from './log.ts';
import { isSecretKey, redactText, redactValue } from './redact.ts';

export type Severity = 'fatal' | 'error' | 'warn' | 'info' | 'debug';

/** Syslog severity and short name, as edgeHub prints them, so that `iotedge` log filters work. */
const marks: Record<Severity, readonly [number, string]> = {
  fatal: [0, 'FTL'],
  error: [3, 'ERR'],
  warn: [4, 'WRN'],
  info: [6, 'INF'],
  debug: [7, 'DBG'],
};

/** `<6> 2026-11-23 09:00:00.000 +00:00 [INF] - text key=value`: always one line, never a secret. */
export function formatLine(at: Date, severity: Severity, message: string, fields: LogFields): string {
  const [number, name] = marks[severity];
  const [day = '', time = ''] = at.toISOString().slice(0, -1).split('T');
  const told = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${formatValue(isSecretKey(key) ? '[redacted]' : redactValue(value))}`);
  return `<${number}> ${day} ${time} +00:00 [${name}] - ${oneLine(redactText(message))}${oneLine(told.join(''))}`;
}

/** Plain words as they are; what holds blanks, quotes or `=` as JSON. */
function formatValue(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value);
}

/** Control characters and line separators, written as escapes: nobody can forge a line or move a terminal's cursor. */
function oneLine(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) =>
    character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
