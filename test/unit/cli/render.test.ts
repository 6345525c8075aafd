import assert from 'node:assert/strict';
import { checkClock, checkKernel } from '../../../src/cli/host-checks.js';
import { renderTable } from '../../../src/cli/render/table.js';
import { overviewHelp, verbHelp } from '../../../src/cli/help.js';
import { renderEvent } from '../../../src/cli/render/events.js';
import {
  escapedJson,
  formatBytes,
  formatMs,
  printable,
  WIDTH,
} from '../../../src/cli/render/text.js';
import { VERBS } from '../../../src/cli/verbs.js';
import { nearest } from '../../../src/base/suggest.js';

describe('text for people', () => {
  it('bytes keep three digits across the units', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1.00 kB'],
      [12_345, '12.3 kB'],
      [999_499, '999 kB'],
      [999_500, '1.00 MB'],
      [Number.MAX_SAFE_INTEGER, '9.01 PB'],
    ];
    for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
  });

  it('an unknown round-trip time is a dash, a tiny one is not zero', () => {
    assert.deepEqual([null, 0.04, 12.34, 250].map(formatMs), ['-', '0.04 ms', '12.3 ms', '250 ms']);
  });

  it('nothing that moves a cursor is printable', () => {
    assert.equal(printable('a\u001b[2Jb\u0085c\u200fd\ne'), 'a\ufffd[2Jb\ufffdc\ufffdd\ufffde');
    assert.equal(printable('Zürich-東京 ✓'), 'Zürich-東京 ✓');
  });

  it('escaped JSON means the same', () => {
    const value = { text: 'a\u009b\u202e\u2028\u{e0001}\u007f"\\é' };
    const line = escapedJson(value);
    assert.match(line, /^[^\p{Cc}\p{Cf}\p{Zl}]*$/u);
    assert.deepEqual(JSON.parse(line), value);
  });

  it('tables align by characters and leave no space at the ends', () => {
    const lines = renderTable(
      [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'LAST' }],
      [
        ['é', '10', ''],
        ['longer', '5', 'x'],
      ],
    );
    assert.deepEqual(lines, ['NAME     N  LAST', 'é       10', 'longer   5  x']);
  });
});

describe('events for people', () => {
  const said = (message: string, nickname?: string): string | undefined =>
    renderEvent({
      ...{ seq: 1, at: '2026-01-02T03:04:05.000Z', level: 'info', code: 'contact-added', message },
      ...{ peer: '91be77aa00112233445566778899aabb', endpoint: '192.0.2.2:6783' },
      ...(nickname !== undefined && { nickname }),
    })[0];

  it('name peer and endpoint once', () => {
    assert.match(said('No answer') ?? '', /No answer \[peer 91be77aa, 192\.0\.2\.2:6783\]$/);
    assert.match(said('192.0.2.2:6783 is silent') ?? '', /is silent \[peer 91be77aa\]$/);
    assert.match(said('192.0.2.2:6783 is silent', 'web') ?? '', /\[peer web 91be77aa\]$/);
    assert.match(
      said('Link to 91be77aa lost', 'web') ?? '',
      /lost \[peer web, 192\.0\.2\.2:6783\]$/,
    );
    assert.match(said('Link to 91be77aa over 192.0.2.2:6783 lost') ?? '', /lost$/);
  });
});

describe('help', () => {
  it('fits a terminal of 80 columns', () => {
    for (const lines of [overviewHelp(VERBS), ...VERBS.map(verbHelp)]) {
      assert.deepEqual(
        lines.filter((line) => line.length > WIDTH),
        [],
      );
    }
  });
});

describe('nearest', () => {
  const words = ['status', 'peers', 'paths', 'reset', 'report'];
  it('knows swapped, missing and cut-off letters', () => {
    assert.equal(nearest('stauts', words), 'status');
    assert.equal(nearest('pers', words), 'peers');
    assert.equal(nearest('stat', words), 'status');
  });
  it('does not guess wildly', () => {
    assert.equal(nearest('attach', words), undefined);
    assert.equal(nearest('re', words), undefined);
    assert.equal(nearest('', words), undefined);
  });
});

describe('host checks', () => {
  it('an old kernel is a warning, since it works', () => {
    assert.equal(checkKernel('4.19.0-26-amd64').state, 'warn');
    assert.deepEqual(
      [checkKernel('5.10.0').found, checkKernel('6.2.0').found],
      ['5.10.0, without USO (6.2)', '6.2.0'],
    );
  });
  it('a clock that was never set is a failure', () => {
    assert.equal(checkClock('1970-01-01T00:00:12.000Z').state, 'fail');
    assert.equal(checkClock('2026-06-01T00:00:00.000Z').state, 'ok');
  });
});
