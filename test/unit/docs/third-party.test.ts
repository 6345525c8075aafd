import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

interface Lock {
  readonly packages: Readonly<Record<string, { dev?: boolean; license?: string }>>;
}

describe('THIRD-PARTY.md', () => {
  it('lists every package that is there at run time, with its licence', () => {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;
    const installed = Object.entries(packages)
      .filter(([path, { dev }]) => path.startsWith('node_modules/') && dev !== true)
      .map(([path, { license }]) => `${path.split('node_modules/').pop() ?? ''} ${license ?? '?'}`);
    const table =
      readFileSync('THIRD-PARTY.md', 'utf8').split('\n## npm packages at run time\n')[1] ?? '';
    const listed = Array.from(
      table.matchAll(/^\| ([^ |]+) \| ([^|]+) \|$/gm),
      ([, name, license]) => `${name ?? ''} ${license ?? ''}`,
    ).filter((row) => row !== 'package licence');
    assert.deepEqual(listed.sort(), [...new Set(installed)].sort());
  });
});
