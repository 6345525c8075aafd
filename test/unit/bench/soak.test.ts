import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { growth, missing, unexplained } from '../../../bench/soak/verdict.js';

const samples = (mbAt: (seconds: number) => number, until = 1800) =>
  Array.from({ length: until / 5 }, (_, at) => ({ seconds: at * 5, mb: mbAt(at * 5) }));

describe('verdict of a soak run', () => {
  it('sees a leak through noise, and none where there is none', () => {
    const noise = (seconds: number): number => Math.sin(seconds) * 3;
    const leaking = samples((seconds) => 80 + (seconds / 600) * 2 + noise(seconds));
    assert.ok(Math.abs(growth(leaking, 300) - 2) < 0.2, `${growth(leaking, 300)}`);
    const steady = samples((seconds) => 80 + noise(seconds));
    assert.ok(Math.abs(growth(steady, 300)) < 0.2, `${growth(steady, 300)}`);
  });

  it('does not count what is reached while warming up', () => {
    const warming = samples((seconds) => Math.min(90, 60 + seconds / 8));
    assert.ok(growth(warming, 0) > 1);
    assert.ok(Math.abs(growth(warming, 300)) < 1e-9);
  });

  it('lets pass what changing paths explain, and nothing that would be a fault', () => {
    assert.deepEqual(unexplained({ no_path: 900, group_nobody: 3, replay: 2, forged: 0 }), []);
    assert.deepEqual(unexplained({ no_path: 9, forged: 1, inner_kind: 2 }), [
      ['forged', 1],
      ['inner_kind', 2],
    ]);
  });

  it('knows only reasons that there are', () => {
    const header = readFileSync('native/core/drop_reason.h', 'utf8');
    const reasons = new Set(
      Array.from(header.matchAll(/^ {2}X\(k\w+, (\w+)\)/gm), (match) => match[1] ?? ''),
    );
    const text = readFileSync('bench/soak/verdict.ts', 'utf8');
    const lists = [
      text.split('new Set([')[1]?.split(']);')[0],
      text.split('INNER = ')[1]?.split(';')[0],
    ];
    const used = lists.flatMap((list) =>
      Array.from((list ?? '').matchAll(/'([a-z_]+)'/g), (match) => match[1] ?? ''),
    );
    assert.ok(used.length > 20);
    assert.deepEqual(
      used.filter((name) => !reasons.has(name)),
      [],
    );
  });

  it('misses datagrams that were opened and went nowhere', () => {
    const counters = {
      opened: 1_000_000,
      tap_tx_frames: 990_000,
      fragments_rx: 6000,
      reassembled: 1000,
    };
    // 5 000 left over: control messages of a minute.
    assert.equal(missing(counters, {}, 60), 0);
    assert.equal(missing({ ...counters, tap_tx_frames: 900_000 }, { own_mac: 50_000 }, 60), 33_000);
    assert.equal(missing({ ...counters, tap_tx_frames: 900_000 }, { own_mac: 90_000 }, 60), 0);
    assert.ok(missing({ ...counters, tap_tx_frames: 1_100_000 }, {}, 60) < 0);
  });
});
