import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { withDaemonsApart } from '../../../bench/path/measure.js';
import { SCENARIOS } from '../../../bench/path/scenarios.js';
import type { Pair, Running } from '../../../bench/path/tunnel.js';

async function cpusOf(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return /^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1];
}

const runningOf = (pids: readonly number[]): Running => ({
  ...{ addressB: '10.0.0.2', pids, description: 'a program' },
  stop: () => Promise.resolve(),
});

describe('benchmark with load and daemons apart', () => {
  it('keeps the daemons on a CPU of their own while the load runs, and then no longer', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      await once(child, 'spawn');
      const pid = child.pid!;
      const before = await cpusOf(pid);
      const during = await withDaemonsApart(runningOf([pid]), async (options) => {
        assert.deepEqual(options, ['-A', '0,0']);
        return cpusOf(pid);
      });
      assert.equal(during, '1');
      assert.equal(await cpusOf(pid), before);
      await assert.rejects(
        withDaemonsApart(runningOf([pid]), () => Promise.reject(new Error('x'))),
      );
      assert.equal(await cpusOf(pid), before);
    } finally {
      child.kill();
    }
  });

  it('says nothing of what lives in the kernel', async () => {
    const scenario = SCENARIOS.find((one) => one.name === 'tcp-apart')!;
    assert.deepEqual(await scenario.measure({} as Pair, runningOf([]), 1), [NaN, NaN, NaN]);
  });
});
