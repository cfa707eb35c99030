import { schema } from './schema.ts';
import type { Schema } from './schema-words.ts';

/** One row of the settings table in the README. */
export interface SettingRow {
  /** `parent.syncProperties.schedule`; `[]` stands for each entry of a list. */
  readonly path: string;
  readonly type: string;
  /** As JSON; empty where there is none. */
  readonly default: string;
  readonly meaning: string;
}

/** Every setting that holds a value, in the order of the schema it is read from. */
export const settingsTable: readonly SettingRow[] = rowsOf(schema, '');

function rowsOf(node: Schema, path: string): SettingRow[] {
  const rows = node.description === undefined ? [] : [rowOf(node, path)];
  for (const [name, property] of Object.entries(node.properties ?? {})) {
    rows.push(...rowsOf(property, path === '' ? name : `${path}.${name}`));
  }
  // Entries that are plain strings are told by their list.
  if (node.items?.properties) rows.push(...rowsOf(node.items, `${path}[]`));
  return rows;
}

function rowOf(node: Schema, path: string): SettingRow {
  return {
    path,
    type: typeOf(node),
    default: node.default === undefined ? '' : JSON.stringify(node.default),
    meaning: node.description ?? '',
  };
}

function typeOf(node: Schema): string {
  if (node.enum) return node.enum.join(' | ');
  if (node.items) return `list of ${[node.items.type].flat().join(' or ')}`;
  return node.format ?? String(node.type);
}
