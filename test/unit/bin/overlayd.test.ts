import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const OVERLAYD = fileURLToPath(new URL('../../../src/bin/overlayd.js', import.meta.url));
/** Not ended yet. */
const running = new Set<ChildProcess>();

/**
 * Runs it to its end, however long that takes: a start loads some hundreds of modules, 0.6 s of CPU time, which a loaded
 * machine gives it when it can.
 */
async function overlayd(
  argv: readonly string[],
  options: { input?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const env = { PATH: process.env['PATH'], ...options.env };
  const child = spawn(process.execPath, [OVERLAYD, ...argv], { env });
  running.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // It may have ended before it read anything.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  const [status] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  return { status, stdout, stderr };
}

describe('overlayd as a process', function () {
  this.timeout(300_000);

  afterEach('leaves none that hangs', () => {
    for (const child of running) child.kill('SIGKILL');
    running.clear();
  });

  it('bad usage is one line with code and cure on stderr, and exit code 2', async () => {
    for (const [argv, line] of [
      [
        ['--password', 'x', '--mtu', '100'],
        "error: Bad --mtu '100': out of range (OVL_USAGE). Give bytes from 1280 to 9000; 1388 fits nearly every path\n",
      ],
      [
        ['--pasword', 'x'],
        "error: Unknown flag '--pasword' (OVL_USAGE). Did you mean --password?\n",
      ],
      [
        [],
        'error: No password is given (OVL_PASSWORD_MISSING). Give --password-file <file>, OVERLAYD_PASSWORD or --password <text>, the same on all nodes of the mesh\n',
      ],
    ] as const) {
      assert.deepEqual(await overlayd(argv), { status: 2, stdout: '', stderr: line });
    }
  });

  it('an empty password from any source is missing', async () => {
    for (const outcome of [
      await overlayd(['--password', '']),
      await overlayd(['--password-file', '-'], { input: '\n' }),
      await overlayd([], { env: { OVERLAYD_PASSWORD: '' } }),
    ]) {
      assert.equal(outcome.status, 2);
      assert.match(
        outcome.stderr,
        /^error: The password from .* is empty \(OVL_PASSWORD_MISSING\)\. /,
      );
    }
  });

  it('a debug setting is refused without OVERLAYD_DEBUG=1, as is one unknown or out of range', async () => {
    const debug = { OVERLAYD_DEBUG: '1' };
    for (const [env, line] of [
      [
        { OVERLAYD_DEBUG_REKEY_MS: '2000' },
        'error: OVERLAYD_DEBUG_REKEY_MS is for tests (OVL_USAGE). Unset it, or set OVERLAYD_DEBUG=1 too\n',
      ],
      [
        { OVERLAYD_DEBUG: '0', OVERLAYD_DEBUG_WITHOUT: 'gso' },
        'error: OVERLAYD_DEBUG_WITHOUT is for tests (OVL_USAGE). Unset it, or set OVERLAYD_DEBUG=1 too\n',
      ],
      [
        { ...debug, OVERLAYD_DEBUG_REKEYMS: '2000' },
        'error: OVERLAYD_DEBUG_REKEYMS is unknown (OVL_USAGE). Unset it\n',
      ],
      [
        { ...debug, OVERLAYD_DEBUG_REKEY_MS: '2s' },
        "error: OVERLAYD_DEBUG_REKEY_MS cannot be '2s' (OVL_USAGE). Give milliseconds, at least 20\n",
      ],
      [
        { ...debug, OVERLAYD_DEBUG_WITHOUT: 'gso,tso' },
        "error: OVERLAYD_DEBUG_WITHOUT cannot name 'tso' (OVL_USAGE). Give some of gso,gro,uso,vnet_hdr\n",
      ],
      [
        { ...debug, OVERLAYD_DEBUG_PROVIDER: 'none' },
        "error: OVERLAYD_DEBUG_PROVIDER cannot be 'none' (OVL_USAGE). Give libsodium\n",
      ],
    ] as const) {
      const outcome = await overlayd(['--password', 'x'], { env });
      assert.deepEqual(outcome, { status: 2, stdout: '', stderr: line });
    }
  });

  it('help and version go to stdout with exit code 0', async () => {
    const help = await overlayd(['--help']);
    assert.equal(help.status, 0);
    assert.match(help.stdout, /Usage: overlayd .*\n/);
    const version = await overlayd(['--version']);
    assert.deepEqual([version.status, version.stderr], [0, '']);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  });

  it('a password in argv does not stay visible in the process list', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'overlayd-argv-'));
    const fifo = join(directory, 'config');
    execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', fifo]);
    // It waits for somebody to write its configuration, with argv read and hidden.
    const argv = [OVERLAYD, '--password', 'hunter2-hunter2', '--config', fifo];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      await once(child, 'spawn');
      const shown = (): string => readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
      const deadline = AbortSignal.timeout(60_000);
      while (!shown().startsWith('overlayd')) {
        assert.equal(deadline.aborted, false, `still shown as ${shown()}`);
        await delay(10);
      }
      assert.equal(shown().replaceAll('\0', ''), 'overlayd');
      writeFileSync(fifo, '{"prot": 1}');
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
      const [exitCode] = (await once(child, 'close')) as [number];
      assert.equal(exitCode, 2);
      assert.match(said, /unknown key 'prot' \(OVL_CONFIG_INVALID\)\. Did you mean 'port'\?/);
    } finally {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true });
    }
  });
});
