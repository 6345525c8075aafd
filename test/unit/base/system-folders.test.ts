import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { makeFolders } from '../../../src/base/system-folders.js';

describe('base/system-folders', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'overlayd-folders-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('makes what is missing and says whether anything was', () => {
    const path = join(root, 'a', 'b', 'c');
    assert.equal(makeFolders(path, 0o700), true);
    for (const folder of [path, join(root, 'a')])
      assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.equal(makeFolders(path, 0o700), false);
    assert.equal(makeFolders('/'), false);
  });

  it('says what is in the way', () => {
    writeFileSync(join(root, 'file'), '');
    assert.throws(() => makeFolders(join(root, 'file')), { code: 'EEXIST' });
    assert.throws(() => makeFolders(join(root, 'file', 'below')), { code: 'ENOTDIR' });
  });

  it('ends where a file system lets nobody make folders', () => {
    assert.throws(() => makeFolders('/proc/overlayd/state'), { code: 'ENOENT' });
  });
});
