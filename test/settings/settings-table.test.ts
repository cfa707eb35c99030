import { expect } from 'chai';
import { limits } from '../../modules/registry/src/settings/limits.ts';
import { schema } from '../../modules/registry/src/settings/schema.ts';
import type { Schema } from '../../modules/registry/src/settings/schema-words.ts';
import { settingsTable } from '../../modules/registry/src/settings/settings-table.ts';
import { fullDocument } from './full-document.ts';

describe('settingsTable', () => {
  const paths = settingsTable.map(({ path }) => path);

  it('has one row for each property of the schema that holds a value', () => {
    expect(paths).to.have.members(valuePaths(schema));
    expect(new Set(paths).size).to.equal(paths.length);
  });

  it('has a row for each value of the full document', () => {
    const inDocument = new Set(documentPaths(fullDocument()));
    expect([...inDocument].filter((path) => !paths.includes(path))).to.deep.equal([]);
    expect(paths.filter((path) => !inDocument.has(path))).to.deep.equal([]);
  });

  it('gives each row a type and a meaning', () => {
    expect(settingsTable.filter(({ type, meaning }) => type === '' || meaning === '')).to.deep.equal([]);
  });

  it('shows defaults as JSON, and none where there is none', () => {
    const defaults = Object.fromEntries(settingsTable.map((row) => [row.path, row.default]));
    expect(defaults).to.include({
      mode: '"ReadWrite"',
      'parent.syncProperties.schedule': '"* * * * *"',
      'transfer.concurrency': '4',
      'parent.gatewayEndpoint': '',
    });
  });
});

describe('schema', () => {
  it('refuses unknown keys in every object', () => {
    const open = nodesOf(schema).filter((node) => node.properties && node.additionalProperties !== false);
    expect(open).to.deep.equal([]);
  });

  it('bounds every string', () => {
    const unbounded = nodesOf(schema).filter((node) => node.type === 'string' && !node.enum && !node.maxLength);
    expect(unbounded).to.deep.equal([]);
  });
});

describe('limits', () => {
  it('say where they come from', () => {
    expect(Object.values(limits).filter(({ source }) => (source as string) === '')).to.deep.equal([]);
  });
});

function nodesOf(node: Schema): Schema[] {
  const inner = [...Object.values(node.properties ?? {}), ...(node.items ? [node.items] : [])];
  return [node, ...inner.flatMap(nodesOf)];
}

function valuePaths(node: Schema, path = ''): string[] {
  const own = node.type === 'object' || path === '' || path.endsWith('[]') ? [] : [path];
  const inner = Object.entries(node.properties ?? {}).map(
    ([key, property]) => [property, path ? `${path}.${key}` : key] as const,
  );
  const items = node.items ? [[node.items, `${path}[]`] as const] : [];
  return [...own, ...[...inner, ...items].flatMap(([property, where]) => valuePaths(property, where))];
}

/** Paths of values and lists, as the table writes them; objects have no value of their own. */
function documentPaths(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [path, ...value.flatMap((item) => documentPaths(item, `${path}[]`))];
  if (typeof value !== 'object' || value === null) return path.endsWith('[]') ? [] : [path];
  return Object.entries(value).flatMap(([key, item]) => documentPaths(item, path ? `${path}.${key}` : key));
}
