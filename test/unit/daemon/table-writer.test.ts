import assert from 'node:assert/strict';

import { OverlayError } from '../../../src/base/errors.js';
import { TableWriter } from '../../../src/daemon/table-writer.js';
import type { TableEntry } from '../../../src/dataplane/dataplane.js';

const SECOND_MS = 1000;

function label(number: number): TableEntry {
  return { kind: 'labelSet', label: number, peer: 1, outLabel: 0, forward: 0 };
}

/** A data plane that refuses what `isWrong` says, and keeps the rest. */
function rig(isWrong: (entry: TableEntry) => boolean) {
  const taken: TableEntry[] = [];
  const said: string[] = [];
  let calls = 0;
  const apply = (batch: readonly TableEntry[]): void => {
    calls += 1;
    const index = batch.findIndex(isWrong);
    if (index >= 0) {
      const details = { cure: 'none', value: '', fields: { index } };
      throw new OverlayError('OVL_BATCH_REFUSED', 'it is wrong', details);
    }
    taken.push(...batch);
  };
  const writer = new TableWriter({
    dataplane: { apply },
    emit: ({ message }) => said.push(message),
  });
  return { writer, taken, said, calls: () => calls };
}

describe('what writes the tables', () => {
  it('leaves out what is refused, and says so once a minute', () => {
    const { writer, taken, said } = rig(
      (entry) => entry.kind === 'labelSet' && entry.label % 2 === 1,
    );
    writer.write([label(2), label(4)], 0);
    assert.equal(writer.warnings.length, 0);
    for (let second = 0; second < 60; second += 1) {
      writer.write([label(1), label(6), label(3)], second * SECOND_MS);
    }
    assert.equal(taken.length, 62);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /labelSet label 3 .*it is wrong.*1 others/);
    writer.write([label(8)], 60 * SECOND_MS);
    assert.equal(said.length, 2, 'those since then are said when nothing new comes, too');
    assert.match(writer.warnings[0]?.message ?? '', /^120 entries/);
  });

  it('asks a bounded number of times, however many are refused', () => {
    const { writer, taken, calls } = rig((entry) => entry.kind === 'labelSet');
    const peer: TableEntry = { kind: 'peerRemove', peer: 1 };
    writer.write([...Array.from({ length: 10_000 }, (_, index) => label(index)), peer], 0);
    assert.deepEqual(taken, [peer]);
    assert.ok(calls() <= 20, `${calls()} calls`);
    assert.match(writer.warnings[0]?.message ?? '', /^10000 entries/);
  });

  it('fails where it is not said which entry it was', () => {
    for (const error of [
      new Error('out of memory'),
      new OverlayError('OVL_BATCH_REFUSED', 'all of it', { cure: '', value: '' }),
      new OverlayError('OVL_BATCH_REFUSED', 'another', {
        cure: '',
        value: '',
        fields: { index: 7 },
      }),
    ]) {
      const fails = (): void => {
        throw error;
      };
      const writer = new TableWriter({ dataplane: { apply: fails }, emit: () => undefined });
      assert.throws(() => {
        writer.write([label(1)], 0);
      }, error);
    }
  });

  it('shows no key of the entry', () => {
    const { writer, said } = rig(() => true);
    const rx = { key: new Uint8Array(32).fill(77), iv: new Uint8Array(24).fill(77) };
    writer.write([{ kind: 'sessionRxKey', session: 5, phase: 1, rx }], 0);
    assert.match(said[0] ?? '', /sessionRxKey session 5 phase 1: it is wrong/);
    assert.doesNotMatch(said[0] ?? '', /77/);
  });
});
