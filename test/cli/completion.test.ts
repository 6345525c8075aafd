import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERBS } from '../../src/cli/verbs.js';
import { runCli } from './run-cli.js';

describe('bash completion', () => {
  let directory: string;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'overlayd-test-'));
    writeFileSync(join(directory, 'completion'), (await runCli(['completion', 'bash'])).out);
    const program = join(directory, 'overlayctl');
    const names = ['NAME  ID', 'web-1  x', `$(touch\${IFS}${directory}/owned)  x`, '`id`  x'];
    writeFileSync(program, `#!/bin/sh\ncat <<'END'\n${names.join('\n')}\nEND\n`);
    chmodSync(program, 0o755);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function complete(...words: string[]): Promise<string[]> {
    const script = [
      `source ${directory}/completion`,
      `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})`,
      `COMP_CWORD=${words.length - 1}`,
      '_overlayctl',
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ].join('\n');
    const env = { PATH: `${directory}:${process.env['PATH'] ?? ''}` };
    return new Promise((resolve, reject) => {
      execFile('bash', ['--norc', '-c', script], { env }, (error, out) => {
        if (error) reject(new Error(error.message));
        else resolve(out.split('\n').filter(Boolean));
      });
    });
  }

  it('offers the verbs, then the options of the verb', async () => {
    const verbs = await complete('overlayctl', '');
    for (const { name } of VERBS) assert.ok(verbs.includes(name), name);
    assert.deepEqual(await complete('overlayctl', 'sta'), ['status']);
    assert.deepEqual(await complete('overlayctl', '--json', 'status', '--w'), ['--wait']);
    assert.deepEqual(await complete('overlayctl', '--socket', '/x', 'events', '--f'), ['--follow']);
  });

  it('offers peer names, and never runs one', async () => {
    const offered = await complete('overlayctl', 'paths', '');
    assert.deepEqual(
      offered.filter((word) => !word.startsWith('--')),
      ['web-1'],
    );
    assert.equal(existsSync(join(directory, 'owned')), false);
  });
});
