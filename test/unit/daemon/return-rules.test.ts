import assert from 'node:assert/strict';

import { ReturnRules } from '../../../src/daemon/return-rules.js';

describe('rules for answers to guests of any subnet', () => {
  let filtered: Map<string, boolean>;
  /** Bridges that have one. */
  let set: Set<string>;
  let calls: number;
  let said: string[];
  let failure: Error | undefined;
  /** Comes between the call and its end. */
  let meanwhile: () => void;
  let rules: ReturnRules;

  beforeEach(() => {
    filtered = new Map([
      ['overlay0', false],
      ['ovn1', true],
    ]);
    set = new Set(['ovn1']);
    calls = 0;
    said = [];
    failure = undefined;
    meanwhile = () => undefined;
    rules = new ReturnRules({
      isFiltered: (bridge) => filtered.get(bridge),
      set: async (bridge, _network, isOn) => {
        calls += 1;
        await Promise.resolve();
        if (failure) throw failure;
        if (isOn) set.add(bridge);
        else set.delete(bridge);
        meanwhile();
      },
      warn: (message) => said.push(message),
    });
    rules.open(0, 'overlay0', false);
    rules.open(7, 'ovn1', true);
  });

  it('come and go with the filter, each on its bridge, and are left alone otherwise', async () => {
    await rules.follow();
    assert.equal(calls, 0);
    filtered.set('overlay0', true);
    await rules.follow();
    await rules.follow();
    assert.deepEqual([[...set].sort(), calls], [['overlay0', 'ovn1'], 1]);
    filtered.set('overlay0', false);
    await rules.follow();
    assert.deepEqual([[...set], calls], [['ovn1'], 2]);
  });

  it('stay as they are while the bridge is not there, and after the server is gone', async () => {
    filtered.delete('ovn1');
    await rules.follow();
    rules.close(0);
    filtered.set('overlay0', true);
    await rules.follow();
    assert.equal(calls, 0);
  });

  it('that come while the server goes go with it', async () => {
    filtered.set('overlay0', true);
    meanwhile = () => {
      rules.close(0);
    };
    await rules.follow();
    assert.deepEqual([...set], ['ovn1']);
  });

  it('that cannot be set are tried again, and that is said once', async () => {
    failure = new Error('no');
    filtered.set('overlay0', true);
    await rules.follow();
    await rules.follow();
    assert.deepEqual([calls, said.length, set.has('overlay0')], [2, 1, false]);
    failure = undefined;
    await rules.follow();
    assert.ok(set.has('overlay0'));
  });
});
