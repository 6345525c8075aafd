import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT_CODES } from '../../../src/api/event-codes.js';
import { ERROR_CODES } from '../../../src/base/errors.js';

/** The project's own folder: tests run with it as working directory. */
const read = (path: string): string => readFileSync(path, 'utf8');

/** First cells of the table in a section: `| \`code\` | ... |`, each row checked to be complete. */
function documented(section: string): string[] {
  const text = read('docs/operations.md').split(`\n## ${section}\n`)[1] ?? '';
  const rows = (text.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => {
    const cells = row.split('|').map((cell) => cell.trim());
    assert.equal(cells.length, 5, row);
    assert.ok(cells.slice(1, 4).every(Boolean), row);
    return (cells[1] ?? '').replaceAll('`', '');
  });
}

function sources(folder: string, ending = '.ts'): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => read(join(folder, name)));
}

describe('docs/operations.md', () => {
  it('explains exactly the error codes there are', () => {
    assert.deepEqual(documented('Error codes'), [...ERROR_CODES]);
  });

  it('knows every code that is written anywhere in the program', () => {
    const texts = [...sources('src'), ...sources('native', '.cc'), ...sources('native', '.h')];
    const used = texts.flatMap((text) =>
      Array.from(text.matchAll(/['"](OVL_[A-Z_]+)['"]/g), (match) => match[1] ?? ''),
    );
    const known: readonly string[] = ERROR_CODES;
    assert.deepEqual(
      used.filter((code) => !known.includes(code)),
      [],
    );
  });

  it('explains exactly the event codes there are', () => {
    assert.deepEqual(documented('Event codes'), [...EVENT_CODES]);
  });

  it('explains exactly the drop reasons that the data plane counts', () => {
    const header = read('native/core/drop_reason.h');
    const names = Array.from(header.matchAll(/^ {2}X\(k\w+, (\w+)\)/gm), (match) => match[1]);
    assert.ok(names.length > 0);
    assert.deepEqual(documented('Drop reasons'), names);
  });

  it('explains every code that the control plane puts into warnings and events', () => {
    const known = new Set([...documented('Warnings'), ...documented('Event codes')]);
    const used = ['src/daemon', 'src/link', 'src/netdev']
      .flatMap((folder) => sources(folder))
      .flatMap((text) => Array.from(text.matchAll(/\bcode: '([a-z-]+)'/g), (match) => match[1]));
    assert.ok(used.length > 0);
    assert.deepEqual(
      used.filter((code) => code === undefined || !known.has(code)),
      [],
    );
  });

  it('links only to sections that exist', () => {
    const text = read('docs/operations.md');
    const anchors = Array.from(text.matchAll(/^## (.+)$/gm), (match) =>
      (match[1] ?? '').toLowerCase().replaceAll(' ', '-'),
    );
    for (const [, target] of text.matchAll(/\]\(#([^)]+)\)/g)) {
      assert.ok(anchors.includes(target ?? ''), target);
    }
  });
});
