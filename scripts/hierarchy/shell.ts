/** A word of a shell command that means exactly `text`. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll(`'`, `'\\''`)}'`;
}

/** One command with its arguments. */
export function shellCommand(...words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}
