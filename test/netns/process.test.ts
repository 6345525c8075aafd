import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/*
 * One overlayd in a namespace of its own: signals, exit codes, what is left behind, and who refuses whom.
 */
const NETNS = `ovl-proc-${process.pid}`;
const OVERLAYD = fileURLToPath(new URL('../../src/bin/overlayd.js', import.meta.url));

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
  readonly pid?: number;
  readonly settings?: readonly string[];
}

class Process {
  readonly child: ChildProcess;
  readonly lines: LogLine[] = [];
  #rest = '';

  constructor(argv: readonly string[]) {
    const command = ['netns', 'exec', NETNS, process.execPath, OVERLAYD, ...argv];
    this.child = spawn('ip', command, {
      env: { PATH: process.env['PATH'], OVERLAYD_PASSWORD: 'correct horse battery' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (this.#rest + text).split('\n');
      this.#rest = parts.pop() ?? '';
      this.lines.push(...parts.map((line) => JSON.parse(line) as LogLine));
      this.child.emit('logged');
    });
  }

  get pid(): number {
    assert.ok(this.child.pid);
    return this.child.pid;
  }

  /** The first line, past or to come, whose message begins so, or is that. */
  async said(text: string, isWhole = false): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find(({ msg }) => (isWhole ? msg === text : msg.startsWith(text)));
      if (found) return found;
      assert.equal(this.child.exitCode, null, JSON.stringify(this.lines));
      await Promise.race([once(this.child, 'logged'), once(this.child, 'close')]);
    }
  }

  async end(signal?: NodeJS.Signals): Promise<number | null> {
    const closed = once(this.child, 'close');
    if (signal !== undefined) this.child.kill(signal);
    const [exitCode] = (await closed) as [number | null];
    return exitCode;
  }
}

describe('overlayd as a process with its data plane', function () {
  this.timeout(120_000);
  let directory: string;
  let processes: Process[];

  async function ready(argv: readonly string[] = []): Promise<Process> {
    const started = new Process(['--state-dir', join(directory, 'state'), ...argv]);
    processes.push(started);
    // The node says "Ready on …" before its API answers.
    await started.said('Control API is listening', true);
    return started;
  }
  function links(): string[] {
    const text = execFileSync('ip', ['-n', NETNS, '-json', 'link', 'show'], { encoding: 'utf8' });
    return (JSON.parse(text) as { ifname: string }[])
      .map((link) => link.ifname)
      .filter((name) => name !== 'lo')
      .sort();
  }

  beforeEach(() => {
    assert.equal(process.getuid?.(), 0, 'this test needs root for network namespaces');
    directory = mkdtempSync(join(tmpdir(), 'overlayd-process-'));
    processes = [];
    execFileSync('ip', ['netns', 'add', NETNS]);
    execFileSync('ip', ['-n', NETNS, 'link', 'set', 'lo', 'up']);
  });
  afterEach(async () => {
    for (const { child } of processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    }
    execFileSync('ip', ['netns', 'delete', NETNS]);
    rmSync(directory, { recursive: true });
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`${signal} ends it with 0 and leaves no interface and no socket`, async () => {
      const daemon = await ready();
      assert.deepEqual(links(), ['overlay0', 'overlay0-t']);
      assert.ok(existsSync(join(directory, 'state', 'overlayd.sock')));
      assert.equal(await daemon.end(signal), 0);
      assert.deepEqual(links(), []);
      assert.equal(existsSync(join(directory, 'state', 'overlayd.sock')), false);
    });
  }

  it('starts again after a kill with the same identity on the same interface', async () => {
    const first = await ready();
    const identity = readFileSync(join(directory, 'state', 'identity.json'), 'utf8');
    await first.end('SIGKILL');
    assert.deepEqual(links(), ['overlay0']);
    const second = await ready();
    assert.deepEqual(links(), ['overlay0', 'overlay0-t']);
    assert.equal(readFileSync(join(directory, 'state', 'identity.json'), 'utf8'), identity);
    assert.equal(await second.end('SIGTERM'), 0);
    assert.deepEqual(links(), []);
  });

  it('a second one is refused for state, interface or port, and does the first no harm', async () => {
    const first = await ready();
    const other = join(directory, 'other');
    const cases = [
      { argv: ['--state-dir', join(directory, 'state')], code: 'OVL_STATE_LOCKED' },
      { argv: ['--state-dir', other, '--port', '7000'], code: 'OVL_IFACE_FOREIGN' },
      { argv: ['--state-dir', other, '--ifname', 'other0'], code: 'OVL_UDP_BIND' },
    ];
    for (const { argv, code } of cases) {
      const second = new Process(argv);
      processes.push(second);
      assert.equal(await second.end(), 1);
      const failure = second.lines.at(-1);
      assert.equal(failure?.code, code);
      assert.match(failure.msg, /^Cannot start: /);
      if (code === 'OVL_STATE_LOCKED') assert.equal(failure.pid, first.pid);
      assert.deepEqual(links(), ['overlay0', 'overlay0-t']);
    }
    assert.equal(await first.end('SIGTERM'), 0);
  });

  it('goes on in a pool that it has lived in when a route of the host overlaps it; a new node is refused', async () => {
    const first = await ready();
    assert.equal(await first.end('SIGTERM'), 0);
    execFileSync('ip', ['-n', NETNS, 'route', 'add', '10.40.0.0/16', 'dev', 'lo']);
    const stranger = new Process(['--state-dir', join(directory, 'other')]);
    processes.push(stranger);
    assert.equal(await stranger.end(), 1);
    assert.equal(stranger.lines.at(-1)?.code, 'OVL_POOL_OVERLAP');
    const again = await ready();
    await again.said('The address pool 10.32.0.0/12 overlaps the route 10.40.0.0/16');
    assert.equal(await again.end('SIGTERM'), 0);
  });

  it('SIGHUP takes the log level at once and names what needs a restart', async () => {
    const path = join(directory, 'config.json');
    writeFileSync(path, '{}');
    const daemon = await ready(['--config', path]);
    writeFileSync(path, '{"log-level": "debug", "mtu": 1400}');
    daemon.child.kill('SIGHUP');
    const reloaded = await daemon.said('Configuration reloaded');
    assert.deepEqual(reloaded.settings, ['mtuBytes']);
    writeFileSync(path, '{"prot": 1}');
    daemon.child.kill('SIGHUP');
    assert.equal((await daemon.said('Cannot reload')).code, 'OVL_CONFIG_INVALID');
    assert.equal(await daemon.end('SIGTERM'), 0);
  });
});
