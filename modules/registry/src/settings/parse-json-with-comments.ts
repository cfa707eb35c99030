import { jsonErrorOffset } from './json-syntax.ts';

export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      /** Says where, never what stands there. */
      readonly message: string;
      /** From 1, as `column`. */
      readonly line: number;
      readonly column: number;
    };

/** JSON with `//` and block comments and trailing commas, as a settings file may have. A failure shows no content. */
export function parseJsonWithComments(text: string): ParsedJson {
  const plain = blankTrailingCommas(blankComments(text.replace(/^\uFEFF/, ' ')));
  try {
    return { ok: true, value: JSON.parse(plain) };
  } catch {
    const before = text.slice(0, jsonErrorOffset(plain)).split('\n');
    const line = before.length;
    const column = (before.at(-1) ?? '').length + 1;
    return { ok: false, message: `not JSON at line ${line}, column ${column}`, line, column };
  }
}

const string = String.raw`"(?:[^"\\\n]|\\.)*"`;

/** Blanks keep their length, so that offsets stay true. */
function blankComments(text: string): string {
  return blank(text, new RegExp(String.raw`${string}|\/\/[^\n]*|\/\*[^]*?\*\/`, 'g'));
}

function blankTrailingCommas(text: string): string {
  return blank(text, new RegExp(String.raw`${string}|(?<=["\]}\w]\s*),(?=\s*[\]}])`, 'g'));
}

function blank(text: string, pattern: RegExp): string {
  return text.replace(pattern, (found) => (found.startsWith('"') ? found : found.replaceAll(/[^\r\n]/g, ' ')));
}
