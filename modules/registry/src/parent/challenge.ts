export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const token = /[!#$%&'*+.^_`|~\w-]+/.source;
/** Unquoted values are read generously: some registries send URLs without quotes. */
const parameterShape = new RegExp(String.raw`(${token})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))`, 'y');
const schemeShape = new RegExp(String.raw`(${token})(?:[ \t]+[\w.~+/-]+=*(?=[ \t]*(?:,|$)))?`, 'y');
const separatorShape = /[\s,]*/y;

/** The challenges of `WWW-Authenticate`, one header or several (RFC 9110, 11.6.1). Reading stops at nonsense. */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(', ');
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let position = 0;
  const take = (shape: RegExp): RegExpExecArray | null => {
    shape.lastIndex = position;
    const match = shape.exec(text);
    if (match) position = shape.lastIndex;
    return match;
  };
  for (;;) {
    take(separatorShape);
    const current = challenges.at(-1);
    const parameter = current && take(parameterShape);
    if (parameter) {
      const [, name = '', quoted, bare = ''] = parameter;
      current.parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? bare);
      continue;
    }
    const scheme = take(schemeShape)?.[1];
    if (scheme === undefined) return challenges;
    challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
  }
}
