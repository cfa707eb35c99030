import { validRange } from 'semver';
import { parsePlatform } from '../oci/platform.ts';
import { parseRepositoryPattern } from '../oci/pattern.ts';
import { isCron } from './cron.ts';
import { parseDurationMs } from './duration.ts';
import { isEndpoint } from './endpoint.ts';
import { limits } from './limits.ts';
import { isName, isRegistryName } from './names.ts';
import { parseNotification } from './notification.ts';
import { parsePermission } from './permission.ts';
import { isTagGlob } from './repository-rules.ts';
import { parseScryptHash } from './scrypt-hash.ts';
import { parseTimestamp } from './timestamp.ts';

/** As ajv takes them, too. */
export interface Format {
  validate(text: string): boolean;
  /** Ends the sentence "must be …". */
  readonly rule: string;
}

/** Every grammar a string setting can have. The schema names them, messages quote them. */
export const formats = {
  'registry-name': {
    validate: isRegistryName,
    rule: `${limits.registryNameShortest.value} to ${limits.registryNameLongest.value} letters and digits`,
  },
  name: {
    validate: isName,
    rule: `1 to ${limits.nameLongest.value} letters, digits, ".", "_" or "-", beginning with a letter or digit`,
  },
  'user-name': {
    validate: (text) => /^[\x21-\x39\x3b-\x7e]{1,255}$/.test(text),
    rule: 'a user name without spaces and colons',
  },
  // Checked again once the variables are known.
  endpoint: {
    validate: (text) => isEndpoint(text.replaceAll(/\$[A-Za-z_][A-Za-z0-9_]*/g, 'a')),
    rule: 'host[:port] without a scheme or path; a $NAME in it is taken from the environment',
  },
  cron: { validate: isCron, rule: 'a cron expression of five fields (minute hour day month weekday, UTC)' },
  'sync-window': {
    validate: (text) => within(text, limits.syncWindowShortestMs.value, limits.syncWindowLongestMs.value),
    rule: 'an ISO 8601 duration from PT1H to P7D',
  },
  'message-ttl': {
    validate: (text) => within(text, limits.messageTtlShortestMs.value, limits.messageTtlLongestMs.value),
    rule: 'an ISO 8601 duration from P1D to P90D',
  },
  'repository-pattern': {
    validate: (text) => parseRepositoryPattern(text) !== undefined,
    rule: 'a repository name, or a pattern of one with * (plant/*)',
  },
  'tag-glob': {
    validate: (text) => isTagGlob(text.replace(/^!/, '')),
    rule: 'a tag, in which * stands for anything and a leading ! excludes',
  },
  'semver-range': {
    validate: (text) => validRange(text) !== null,
    rule: 'a range of semantic versions, such as >=1.5 <2, ^1.5 or 1.5.x || 2.x',
  },
  platform: {
    validate: (text) => parsePlatform(text) !== undefined,
    rule: 'os/architecture[/variant], such as linux/arm/v7',
  },
  'scrypt-hash': {
    validate: (text) => parseScryptHash(text) !== undefined,
    rule:
      'a PHC string $scrypt$ln=…,r=…,p=…$<salt>$<key>, base64 without padding, with ' +
      `ln at least ${limits.scryptLnSmallest.value} and 128·N·r·p at most ${limits.scryptCostBytes.value} bytes`,
  },
  timestamp: {
    validate: (text) => parseTimestamp(text) !== undefined,
    rule: 'a time with a zone, such as 2027-01-01T00:00:00Z',
  },
  permission: {
    validate: (text) => parsePermission(text) !== undefined,
    rule:
      'repositories/<name or pattern>/content/read|content/write|content/delete|metadata/read|metadata/write ' +
      'or gateway/<registry>/config/read|config/write|message/read|message/write',
  },
  'time-of-day': { validate: (text) => /^([01]\d|2[0-3]):[0-5]\d$/.test(text), rule: 'a time of day HH:MM, UTC' },
  notification: {
    validate: (text) => parseNotification(text) !== undefined,
    rule: 'name[:tag][@digest]:push|delete, each part with * for any',
  },
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

function within(text: string, shortestMs: number, longestMs: number): boolean {
  const milliseconds = parseDurationMs(text);
  return milliseconds !== undefined && milliseconds >= shortestMs && milliseconds <= longestMs;
}
