import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ResolvConfFiles } from '../../../src/netdev/resolv-conf-files.js';

describe('resolv.conf of named namespaces', () => {
  let folder: string;
  let warnings: string[];

  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'overlayd-test-')), 'netns');
    warnings = [];
  });
  afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

  const files = (owner = 'me'): ResolvConfFiles =>
    new ResolvConfFiles(owner, (message) => warnings.push(message), folder);
  const text = (name: string): string => readFileSync(join(folder, name, 'resolv.conf'), 'utf8');

  it('is written, changed and removed, folder and all', () => {
    const mine = files();
    mine.sync(new Map([['web', 'nameserver 169.254.7.9\n']]));
    assert.match(text('web'), /^# .*\nnameserver 169\.254\.7\.9\n$/);
    mine.sync(new Map([['web', 'nameserver fe80::1%eth-ovl\n']]));
    assert.match(text('web'), /\nnameserver fe80::1%eth-ovl\n$/);
    mine.sync(new Map());
    assert.ok(!existsSync(join(folder, 'web')));
    assert.deepEqual(warnings, []);
  });

  it("is left alone where it is the operator's", () => {
    mkdirSync(join(folder, 'web'), { recursive: true });
    writeFileSync(join(folder, 'web', 'resolv.conf'), 'nameserver 192.0.2.1\n');
    files().sync(new Map([['web', 'nameserver 169.254.7.9\n']]));
    files().sync(new Map());
    assert.equal(text('web'), 'nameserver 192.0.2.1\n');
  });

  it('of an earlier run is removed, of another daemon it is not', () => {
    files().sync(new Map([['web', 'x\n']]));
    files('other').sync(new Map([['db', 'y\n']]));
    writeFileSync(join(folder, 'web', 'hosts'), '');
    files().sync(new Map());
    assert.ok(!existsSync(join(folder, 'web', 'resolv.conf')));
    assert.ok(existsSync(join(folder, 'web', 'hosts')));
    assert.match(text('db'), /\ny\n$/);
  });

  it('that cannot be written is said, and nothing else fails', () => {
    writeFileSync(folder, 'a file, no folder');
    files().sync(new Map([['web', 'x\n']]));
    assert.equal(warnings.length, 1);
  });
});
