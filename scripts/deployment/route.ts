export interface Route {
  /** The modules it reads from and writes to by name. */
  readonly modules: readonly string[];
}

const name = '[A-Za-z0-9_-]+';
const sources = [
  String.raw`/\*`,
  String.raw`/messages/\*`,
  String.raw`/messages/modules/(?:\*|(?<from>${name})(?:/\*|/outputs/(?:\*|${name}))?)`,
  String.raw`/messages/modules/\*/outputs/(?:\*|${name})`,
  '/twinChangeNotifications',
  '/deviceLifecycleEvents',
  '/deviceConnectionStateEvents',
];
const sinks = [
  String.raw`\$upstream`,
  String.raw`BrokeredEndpoint\(\s*["']/modules/(?<to>${name})/inputs/${name}["']\s*\)`,
];
const shape = new RegExp(
  String.raw`^\s*FROM\s+(?:${sources.join('|')})\s+(?:WHERE\s+\S.*?\s+)?INTO\s+(?:${sinks.join('|')})\s*$`,
  'is',
);

export const routeRule =
  'FROM <source> [WHERE <condition>] INTO $upstream or BrokeredEndpoint("/modules/<name>/inputs/<input>")';

/** Reads a route of edgeHub; undefined for what edgeHub would refuse. Conditions are not looked into. */
export function parseRoute(text: string): Route | undefined {
  const match = shape.exec(text);
  if (!match) return undefined;
  return { modules: [match.groups?.['from'], match.groups?.['to']].filter((found) => found !== undefined) };
}
