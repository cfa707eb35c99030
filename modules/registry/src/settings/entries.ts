/**
 * Reading a document that may be broken: what is not of the expected kind reads as empty,
 * so that one wrong entry does not hide what is wrong with the others.
 */
export interface Entry {
  /** JSON pointer. */
  readonly path: string;
  readonly value: unknown;
}

export const root = (document: unknown): Entry => ({ path: '', value: document });

export function property(entry: Entry, key: string): Entry {
  const { path, value } = entry;
  const own = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  return { path: `${path}/${key}`, value: own ? (value as Record<string, unknown>)[key] : undefined };
}

export function entriesOf(entry: Entry, key: string): Entry[] {
  const { path, value } = property(entry, key);
  return Array.isArray(value) ? value.map((item: unknown, index) => ({ path: `${path}/${index}`, value: item })) : [];
}

export function textOf(entry: Entry): string | undefined {
  return typeof entry.value === 'string' ? entry.value : undefined;
}

/** The name of an entry: its own text, or its `name`. */
export function nameOf(entry: Entry): string | undefined {
  return textOf(entry) ?? textOf(property(entry, 'name'));
}
