import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ToolShell } from '../../../src/netdev/tool-shell.js';

const ENV = { LC_ALL: 'C', PATH: '/usr/bin:/bin' };

describe('tool shell', () => {
  let shell: ToolShell;

  beforeEach(() => {
    shell = make();
  });

  afterEach(() => shell.stop());

  function make(limits: { timeoutMs?: number; maxOutputBytes?: number } = {}): ToolShell {
    const { timeoutMs = 60_000, maxOutputBytes = 1 << 20 } = limits;
    return new ToolShell({ env: ENV, timeoutMs, maxOutputBytes });
  }

  const sh = (text: string, stdin = '', in_ = shell) => in_.run('/bin/sh', ['-c', text], stdin);

  it('gives what a tool printed on each stream, and how it ended', async () => {
    assert.deepEqual(await sh('echo out; echo err >&2; exit 3'), {
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    assert.deepEqual(await sh('true'), { exitCode: 0, stdout: '', stderr: '' });
  });

  it('hands words and stdin on as they are', async () => {
    const words = [`it's`, '$HOME', '`id`', 'a\nb', '\\', '', '*', '"'];
    const printed = await shell.run('/usr/bin/printf', ['<%s>', ...words], '');
    assert.equal(printed.stdout, words.map((word) => `<${word}>`).join(''));
    const text = `$(id) \`id\` \\ 'x'\n${'é'.repeat(70_000)}\nEOF\n`;
    assert.equal((await shell.run('/bin/cat', [], text)).stdout, text);
    assert.equal((await shell.run('/bin/cat', [], '')).stdout, '');
    await assert.rejects(shell.run('/bin/cat', ['a\0b'], ''), /NUL/);
  });

  it('runs one after the other in one shell, and that in the order they came', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, at) => sh(`echo $PPID ${at}`)));
    const shells = new Set(all.map(({ stdout }) => stdout.split(' ')[0]));
    assert.equal(shells.size, 1);
    assert.deepEqual(
      all.map(({ stdout }) => Number(stdout.split(' ')[1])),
      all.map((_, at) => at),
    );
  });

  it('ends a tool that takes too long, or says too much, and goes on with another shell', async () => {
    const hasty = make({ timeoutMs: 300, maxOutputBytes: 10_000 });
    const slow = sh('echo begun; exec sleep 1000', '', hasty);
    const next = sh('echo next', '', hasty);
    assert.equal((await slow).exitCode, -1);
    assert.equal((await next).exitCode, 0);
    assert.equal((await sh('exec cat /dev/zero', '', hasty)).exitCode, -1);
    assert.equal((await sh('echo next', '', hasty)).stdout, 'next\n');
    await hasty.stop();
  });

  it('survives its death: what ran is lost, what waits is done', async () => {
    const killed = sh('kill -9 $PPID; exec sleep 1000');
    const next = sh('echo next');
    assert.equal((await killed).exitCode, -1);
    assert.equal((await next).stdout, 'next\n');
  });

  it('leaves SIGTERM to us, and ends when it is stopped', async () => {
    const pid = Number((await sh('kill -TERM $PPID; echo $PPID')).stdout);
    assert.equal(Number((await sh('echo $PPID')).stdout), pid);
    await shell.stop();
    assert.ok(!existsSync(`/proc/${pid}`));
  });

  it('shows nothing of what it is told in its arguments', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tool-shell-'));
    const file = join(folder, 'arguments');
    await sh(`cat /proc/$PPID/cmdline >${file}`);
    assert.equal(readFileSync(file, 'utf8'), '/bin/sh\0');
    rmSync(folder, { recursive: true });
  });
});
