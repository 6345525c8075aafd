import assert from 'node:assert/strict';

import { MAX_NETWORK_ID, type TableEntry } from '../../src/dataplane/dataplane.js';
import { parseMac } from '../../src/model/mac.js';
import { Sim } from './harness.js';

describe('an entry that the data plane refuses', () => {
  it('ends neither the daemon nor its links, and the operator reads which one', async () => {
    const sim = await Sim.create(7);
    const mac = parseMac('02:00:00:00:00:0a');
    assert.ok(mac);
    const wrong: TableEntry = { kind: 'fdbSet', network: MAX_NETWORK_ID + 1, mac, peer: 0 };
    let isAdded: boolean | undefined;
    const a = sim.node('a', {
      mayBeRefused: true,
      onTables: (batch) => {
        // Each batch comes twice: with it, and again without.
        if (isAdded === undefined) return;
        isAdded = !isAdded;
        if (isAdded) (batch as TableEntry[]).unshift(wrong);
      },
    });
    const b = sim.node('b', { peers: [a.address] });
    await a.start();
    isAdded = false;
    await b.start();
    await sim.until('a link', () => a.sees(b) && b.sees(a), 3000);
    isAdded = undefined;
    b.say(a, 'hello');
    await sim.until('a frame', () => a.heard('hello'), 1000);
    const [refused] = a.events.filter(({ code }) => code === 'dataplane-refused');
    assert.match(refused?.message ?? '', /fdbSet network 16777216/);
    assert.ok(a.daemon.control.status().warnings.some(({ code }) => code === 'tables-refused'));
    await sim.stopAll();
  });
});
