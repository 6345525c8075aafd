import { printable } from './text.js';

export interface Column {
  readonly title: string;
  /** Numbers read best right-aligned. */
  readonly align?: 'right';
}

/** Lines of an aligned table, titles first; no trailing spaces. Cells are made printable here. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((row) => displayWidth(row[index] ?? ''))),
  );
  return cells.map((row) =>
    columns
      .map(({ align }, index) => {
        const cell = row[index] ?? '';
        const gap = ' '.repeat((widths[index] ?? 0) - displayWidth(cell));
        return align === 'right' ? gap + cell : cell + gap;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Aligned `name  value` lines. */
export function renderFields(fields: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `  ${name.padEnd(width)}  ${printable(value)}`.trimEnd());
}

/** In code points: good enough for names; wide scripts only cost alignment. */
function displayWidth(text: string): number {
  return Array.from(text).length;
}
