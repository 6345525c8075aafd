import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const START = fileURLToPath(new URL('../../../../scripts/start.cjs', import.meta.url));

describe('start.cjs', function () {
  this.timeout(60_000);

  let root: string;
  let bundle: string;

  /** An installation of a program that says which of its two forms ran, and with what. */
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'overlayd-start-'));
    for (const folder of ['scripts', 'dist/src/bin', 'dist/src/bundle'])
      mkdirSync(join(root, folder), { recursive: true });
    copyFileSync(START, join(root, 'scripts/start.cjs'));
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    writeFileSync(join(root, 'dist/.tsbuildinfo'), '');
    writeFileSync(
      join(root, 'dist/src/bin/program.js'),
      "console.log('modules', ...process.argv.slice(2));",
    );
    bundle = join(root, 'dist/src/bundle/program.cjs');
    writeFileSync(
      bundle,
      "console.log(require('node:path').basename(__filename), ...process.argv.slice(2));",
    );
  });

  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
    const outcome = spawnSync(process.execPath, [join(root, 'scripts/start.cjs'), ...args], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...env },
    });
    assert.equal(outcome.status, 0, outcome.stderr);
    return outcome.stdout.trim();
  }

  it('runs the bundle with the arguments behind the name of the program', () => {
    assert.equal(start(['program', '--a', 'b']), 'program.cjs --a b');
  });

  it('runs the modules where there is no bundle, where tsc ran after it, and for debugging', () => {
    assert.equal(start(['program', 'x'], { OVERLAYD_DEBUG: '1' }), 'modules x');
    utimesSync(bundle, 1, 1);
    assert.equal(start(['program', 'x']), 'modules x');
    rmSync(bundle);
    assert.equal(start(['program', 'x']), 'modules x');
  });

  it('keeps what V8 compiled, for everybody to read', () => {
    assert.equal(start(['--make-cache', 'program']), 'program.cjs --version');
    const { mode, size } = statSync(`${bundle}.v8`);
    assert.equal(mode & 0o444, 0o444);
    assert.ok(size > 0);
    assert.equal(start(['program']), 'program.cjs');
  });

  it('compiles the bundle where what V8 compiled is damaged or of another version', () => {
    writeFileSync(`${bundle}.v8`, 'not from V8');
    assert.equal(start(['program', 'x']), 'program.cjs x');
  });
});
