import { printable, WIDTH, wrap } from './text.js';

export interface Column {
  readonly title: string;
  /** Numbers read best right-aligned. */
  readonly align?: 'right';
  /** Left out of a terminal that is too narrow, the highest number first; without one it always stays. */
  readonly yields?: number;
  /** Sentences, in the last column. */
  readonly isProse?: true;
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

/**
 * The table without the columns that a terminal of `width` has no room for, and then a line that names them.
 * Without a width, which is what a pipe has, nothing is left out: scripts see the same wherever they run.
 */
export function renderFitting(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string[] {
  if (width === undefined) return renderTable(columns, rows);
  let kept = columns.map((column, index) => ({ column, index }));
  const render = (shown: typeof kept): string[] =>
    renderTable(
      shown.map(({ column }) => column),
      rows.map((row) => shown.map(({ index }) => row[index] ?? '')),
    );
  // Prose at the end is what a terminal wraps best.
  const isFitting = (): boolean =>
    render(kept.filter(({ column }) => column.isProse !== true)).every(
      (line) => displayWidth(line) <= width,
    );
  const leftOut: string[] = [];
  while (!isFitting()) {
    const [next] = kept
      .filter(({ column }) => column.yields !== undefined)
      .sort((a, b) => (b.column.yields ?? 0) - (a.column.yields ?? 0));
    if (next === undefined) break;
    kept = kept.filter((one) => one !== next);
    leftOut.unshift(next.column.title);
  }
  const note = `Not shown: ${leftOut.join(', ')} (--json, or a wider terminal)`;
  return leftOut.length === 0 ? render(kept) : [...render(kept), '', note];
}

/** Aligned `name  value` lines, longer values on further lines. */
export function renderFields(fields: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...fields.map(([name]) => name.length));
  const margin = ' '.repeat(width + 4);
  return fields.flatMap(([name, value]) =>
    wrap(printable(value), WIDTH - margin.length).map((line, index) =>
      `${index === 0 ? `  ${name}`.padEnd(margin.length) : margin}${line}`.trimEnd(),
    ),
  );
}

/** In code points: good enough for names; wide scripts only cost alignment. */
function displayWidth(text: string): number {
  return Array.from(text).length;
}
