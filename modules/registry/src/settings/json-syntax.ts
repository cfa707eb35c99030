const space = /[ \t\r\n]*/y;
/** Punctuation, a string, or another scalar. */
const token =
  /([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or end' | 'end';

/** The offset at which `text` stops being JSON; undefined when it is JSON. What JSON.parse says shows the text itself. */
export function jsonErrorOffset(text: string): number | undefined {
  const open: string[] = [];
  let expected: Expected = 'value';
  const afterValue = (): Expected => (open.length === 0 ? 'end' : ', or end');
  for (let offset = 0; ; offset = token.lastIndex) {
    space.lastIndex = offset;
    space.exec(text);
    const start = space.lastIndex;
    if (start === text.length) return expected === 'end' ? undefined : start;
    token.lastIndex = start;
    const match = token.exec(text);
    const next = match && step(match[1], match[2] !== undefined);
    if (!next) return start;
    expected = next;
  }

  function step(mark: string | undefined, isString: boolean): Expected | undefined {
    const wantsValue = expected === 'value' || expected === 'value or ]';
    const wantsKey = expected === 'key' || expected === 'key or }';
    switch (mark) {
      case undefined:
        if (wantsKey) return isString ? ':' : undefined;
        return wantsValue ? afterValue() : undefined;
      case '{':
      case '[':
        if (!wantsValue) return undefined;
        open.push(mark);
        return mark === '{' ? 'key or }' : 'value or ]';
      case '}':
      case ']':
        if (open.at(-1) !== (mark === '}' ? '{' : '[')) return undefined;
        if (expected !== ', or end' && expected !== (mark === '}' ? 'key or }' : 'value or ]')) return undefined;
        open.pop();
        return afterValue();
      case ',':
        if (expected !== ', or end') return undefined;
        return open.at(-1) === '{' ? 'key' : 'value';
      default:
        return expected === ':' ? 'value' : undefined;
    }
  }
}
