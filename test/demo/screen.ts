/** One row of the live table. */
export interface LayerRow {
  readonly layer: string;
  readonly mode: string;
  readonly state: string;
  readonly inSync: boolean | undefined;
  readonly images: number;
  readonly bytes: number;
  /** Of the running pass, or the last one. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** ISO 8601. */
  readonly eta: string | undefined;
  readonly lastSync: string | undefined;
}

export interface Screen {
  /** A line that stays. */
  say(line: string): void;
  /** The table below the lines; redrawn in place on a terminal, elsewhere printed by `printTable`. */
  show(rows: readonly LayerRow[]): void;
  printTable(): void;
}

const heading = ['layer', 'mode', 'state', 'in sync', 'images', 'stored', 'this sync', 'ETA', 'last sync (UTC)'];

/** Lines above, a live table below, on a terminal; plain lines elsewhere. */
export function createScreen(stream: NodeJS.WriteStream): Screen {
  let table: readonly string[] = [];
  let drawn = 0;

  const erase = (): void => {
    if (drawn > 0) stream.write(`\u001b[${drawn}A\u001b[0J`);
    drawn = 0;
  };
  const draw = (): void => {
    if (!stream.isTTY || table.length === 0) return;
    stream.write(`\n${table.join('\n')}\n`);
    drawn = table.length + 1;
  };

  return {
    say(line) {
      erase();
      stream.write(`${line}\n`);
      draw();
    },
    show(rows) {
      table = renderTable(rows);
      if (!stream.isTTY) return;
      erase();
      draw();
    },
    printTable() {
      if (!stream.isTTY) stream.write(`${table.join('\n')}\n`);
    },
  };
}

export function renderTable(rows: readonly LayerRow[]): string[] {
  const cells = rows.map((row) => [
    row.layer,
    row.mode,
    row.state,
    row.inSync === undefined ? '-' : row.inSync ? 'yes' : 'no',
    String(row.images),
    readableBytes(row.bytes),
    row.bytesTotal === 0 ? '-' : `${readableBytes(row.bytesDone)} of ${readableBytes(row.bytesTotal)}`,
    row.eta?.slice(11, 16) ?? '-',
    row.lastSync?.slice(11, 19) ?? '-',
  ]);
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => (line[column] ?? '').length)),
  );
  const line = (parts: readonly string[]): string =>
    `  ${parts.map((part, column) => part.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd();
  return [line(heading), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)];
}

export function readableBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log(bytes) / Math.log(1024)));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power] ?? ''}`;
}
