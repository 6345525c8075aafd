import assert from 'node:assert/strict';

import { createLog, loadPrettifier } from '../../../src/base/log.js';

function collect(level = 'info') {
  const lines: string[] = [];
  const log = createLog({ level, destination: { write: (line) => lines.push(line) } });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as unknown) };
}

describe('log', () => {
  it('writes one JSON line with level, time, fields and message', () => {
    const { log, parsed } = collect();
    log.warn({ peer: '00112233' }, 'Path is slow');
    const [line] = parsed() as [Record<string, unknown>];
    assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT/);
    assert.deepEqual(
      { ...line, time: 0 },
      { level: 'warn', time: 0, peer: '00112233', msg: 'Path is slow' },
    );
  });

  it('strikes out secrets by name, also one level down, and all bytes', () => {
    const { log, lines } = collect();
    log.info(
      {
        password: 'hunter2',
        options: { passwordPrs: 'hunter2', secretKey: 'hunter2' },
        data: new Uint8Array([104, 117, 110]),
      },
      'Starting',
    );
    assert.doesNotMatch(lines.join(), /hunter2|104/);
    assert.match(lines.join(), /\[3 bytes\]/);
  });

  it('the level may change while running', () => {
    const { log, lines } = collect();
    log.debug({}, 'Not shown');
    log.setLevel('debug');
    log.debug({}, 'Shown');
    log.setLevel('error');
    log.warn({}, 'Not shown');
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
      ['Shown'],
    );
  });

  it('an error keeps its code and cause', () => {
    const { log, parsed } = collect();
    log.error({ err: Object.assign(new Error('no'), { code: 'OVL_TAP_OPEN' }) }, 'Stopping');
    const [line] = parsed() as [{ err: { code: string; message: string } }];
    assert.equal(line.err.code, 'OVL_TAP_OPEN');
    assert.equal(line.err.message, 'no');
  });

  it('is readable for people when asked', async () => {
    const lines: string[] = [];
    const prettify = await loadPrettifier();
    const log = createLog({
      level: 'info',
      prettify,
      destination: { write: (line) => lines.push(line) },
    });
    log.info({ peer: '00112233', seq: 7, at: '2026-11-22' }, 'Link is up');
    assert.match(lines.join(), /INFO.*Link is up/);
    assert.doesNotMatch(lines.join(), /seq|at:/);
    assert.throws(() => JSON.parse(lines.join()) as unknown);
  });
});
