import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VERBS } from '../../../src/cli/verbs.js';

const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'THIRD-PARTY.md',
  'docs/architecture.md',
  'docs/operations.md',
  'docs/overlayctl.md',
];

describe('README and its pages', () => {
  it('lead nowhere that does not exist', () => {
    for (const page of PAGES) {
      for (const [, target] of readFileSync(page, 'utf8').matchAll(/\]\(([^)#]+)/g)) {
        assert.ok(existsSync(join(dirname(page), target ?? '')), `${page}: ${target ?? ''}`);
      }
    }
  });

  it('call only scripts and verbs that exist', () => {
    const verbs = new Set(VERBS.map(({ name }) => name));
    for (const page of PAGES) {
      const text = readFileSync(page, 'utf8');
      for (const [script] of text.matchAll(/scripts\/[a-z]+\.sh/g)) {
        assert.ok(existsSync(script), `${page}: ${script}`);
      }
      for (const [code] of text.matchAll(/```[^]*?```|`[^`\n]+`/g)) {
        for (const [, verb] of code.matchAll(/overlayctl(?: --json)? ([a-z]+)/g)) {
          assert.ok(verbs.has(verb ?? ''), `${page}: overlayctl ${verb ?? ''}`);
        }
      }
    }
  });
});
