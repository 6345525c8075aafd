/*
 * Nicknames, endpoints and reasons come from other machines. Nothing that a terminal obeys may pass: control
 * characters (escape sequences), and the marks that turn the reading direction around.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** `text` with everything that could move a cursor replaced. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}

/** One line of JSON that is safe to look at: JSON itself escapes only the control characters below space. */
export function escapedJson(document: unknown): string {
  return JSON.stringify(document).replace(UNPRINTABLE, (char) =>
    Array.from(
      { length: char.length },
      (_, index) => `\\u${char.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

/** `2 nodes`, `1 node`. */
export function plural(count: number, noun: string, many = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`;
}

/** Columns of a terminal that nobody made wider: what is meant to be read, not parsed, keeps to them. */
export const WIDTH = 80;

/** Lines of whole words, `width` characters at most; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Decimal units, three significant digits. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : formatThree(value)} ${BYTE_UNITS[unit] ?? ''}`;
}

export function formatMs(ms: number | null): string {
  return ms === null ? '-' : `${formatThree(ms)} ms`;
}

export function formatPercent(percent: number | null): string {
  return percent === null ? '-' : `${formatThree(percent)}%`;
}

export function orDash(value: string | number | null): string {
  return value === null || value === '' ? '-' : String(value);
}

function formatThree(value: number): string {
  if (value === 0) return '0';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits);
}
