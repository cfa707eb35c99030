import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { directMethods } from '../modules/registry/src/direct-methods.ts';
import { endpoints } from '../modules/registry/src/http/endpoints.ts';
import { certificateDetailTable } from '../modules/registry/src/https-certificate.ts';
import { integrityDetailTable } from '../modules/registry/src/integrity.ts';
import { errorTable } from '../modules/registry/src/errors.ts';
import { limits } from '../modules/registry/src/settings/limits.ts';
import { environmentTable } from '../modules/registry/src/settings/environment-table.ts';
import { settingsTable } from '../modules/registry/src/settings/settings-table.ts';
import { metricsTable } from '../modules/registry/src/status/metrics-table.ts';
import { detailTable } from '../modules/registry/src/sync/details.ts';

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');

/** What the README must show under each heading: first the header, then one row for each row in the code. */
const tables: Readonly<Record<string, readonly (readonly string[])[]>> = {
  Settings: [
    ['Path', 'Type', 'Default', 'Meaning'],
    ...settingsTable.map((row) => [row.path, row.type, row.default, row.meaning]),
  ],
  Environment: [
    ['Variable', 'Default', 'Meaning'],
    ...environmentTable.map((row) => [row.name, row.default, row.meaning]),
  ],
  API: [
    ['Id', 'Methods', 'Path', 'Needs'],
    ...endpoints.map((row) => [row.id, row.methods.join(', '), row.path, row.needs]),
  ],
  Errors: [
    ['Code', 'Status', 'Message'],
    ...Object.entries(errorTable).map(([code, { status, message }]) => [code, String(status), message]),
  ],
  Metrics: [
    ['Name', 'Type', 'Labels', 'Meaning'],
    ...Object.values(metricsTable).map((row) => [row.name, row.type, row.labels.join(', '), row.meaning]),
  ],
  Limits: [
    ['Name', 'Value', 'Unit', 'Source'],
    ...Object.entries(limits).map(([name, { value, unit, source }]) => [name, String(value), unit, source]),
  ],
};

describe('README.md', () => {
  it('shows under "Status details" each code with its type, a cause and a cure', () => {
    const [, ...rows] = tableUnder('Status details');
    expect(rows.map(([code, type]) => [code, type])).to.deep.equal(
      Object.entries({ ...detailTable, ...certificateDetailTable, ...integrityDetailTable }).map(([code, { type }]) => [
        code,
        type,
      ]),
    );
    for (const cells of rows) expect(cells).to.have.length(4).and.not.include('');
  });

  it('shows under "Direct methods" each method with the fields of its payload', () => {
    const [, ...rows] = tableUnder('Direct methods');
    expect(rows.map(([name, payload]) => [name, payload])).to.deep.equal(
      Object.entries(directMethods).map(([name, { properties = {} }]) => [name, Object.keys(properties).join(', ')]),
    );
    for (const [, , does] of rows) expect(does).to.not.equal('');
  });

  for (const [heading, expected] of Object.entries(tables)) {
    it(`shows under "${heading}" what the code says, row for row`, () => {
      expect(tableUnder(heading)).to.deep.equal(expected);
    });
  }
});

describe('module.json', () => {
  it('carries the version of package.json', async () => {
    const read = async (path: string) => JSON.parse(await readFile(new URL(path, import.meta.url), 'utf8')) as unknown;
    const { version } = (await read('../package.json')) as { version: string };
    expect(await read('../modules/registry/module.json')).to.have.nested.property('image.tag.version', version);
  });
});

/** The cells of the first table after `### heading`, without Markdown's marks. */
function tableUnder(heading: string): string[][] {
  const [, section = ''] = readme.split(`\n### ${heading}\n`);
  const [block = ''] = /(?:^\|.*\n)+/m.exec(section) ?? [];
  const rows = block.trimEnd().split('\n').map(cellsOf);
  return rows.filter((_, index) => index !== 1);
}

function cellsOf(line: string): string[] {
  const cells = line.slice(1, -1).split(/(?<!\\)\|/);
  return cells.map((cell) => {
    const text = cell.trim().replaceAll('\\|', '|');
    const [, code] = /^`([^`]*)`$/.exec(text) ?? [];
    return code ?? text.replaceAll(/\\([^a-zA-Z0-9\s])/g, '$1');
  });
}
