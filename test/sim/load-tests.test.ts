import assert from 'node:assert/strict';

import type { BenchPlaceDocument } from '../../src/api/control.js';
import type { OverlayError } from '../../src/base/errors.js';
import type { Receiver, ReceiverOptions } from '../../src/load/receiver.js';
import { Sim, type NodeSettings, type SimNode } from './harness.js';

const WISH = { seconds: 5, mbps: 100 };

/** Receivers without sockets. */
class Receivers {
  readonly opened: (ReceiverOptions & { end: () => void })[] = [];
  fails = false;

  readonly open = (options: ReceiverOptions): Promise<Receiver> => {
    if (this.fails) return Promise.reject(new Error('no'));
    let end = (): void => undefined;
    const closed = new Promise<void>((resolve) => (end = resolve));
    this.opened.push({ ...options, end });
    return Promise.resolve({ tcp: 4001, udp: 4002, closed, close: end });
  };
}

describe('agreeing on a measurement', () => {
  let sim: Sim;
  let a: SimNode;
  let b: SimNode;
  let receivers: Receivers;

  async function start(options: NodeSettings['options']): Promise<void> {
    sim = await Sim.create(1);
    receivers = new Receivers();
    a = sim.node('a');
    const settings: NodeSettings = { peers: [a.address], receiveLoad: receivers.open };
    b = sim.node('b', options ? { ...settings, options } : settings);
    await a.start();
    await b.start();
    await sim.until('names travel', () => a.peerRow(b)?.nickname === 'b', 2000);
  }
  afterEach(() => sim.stopAll());

  /** The place or the error, whichever comes. */
  async function bench(withinMs = 1000, peer = 'b'): Promise<BenchPlaceDocument | OverlayError> {
    let outcome: BenchPlaceDocument | OverlayError | undefined;
    const asked = a.daemon.control.bench(peer, WISH);
    void asked.then(
      (place) => (outcome = place),
      (error: unknown) => (outcome = error as OverlayError),
    );
    await sim.until('an outcome', () => outcome !== undefined, withinMs);
    assert.ok(outcome);
    return outcome;
  }
  const codeOf = (outcome: BenchPlaceDocument | OverlayError): string =>
    'code' in outcome ? outcome.code : 'agreed';

  it('needs the consent of the other node, and names the flag', async () => {
    await start({});
    const refused = await bench();
    assert.equal(codeOf(refused), 'OVL_BENCH_REFUSED');
    assert.match((refused as OverlayError).cure, /--allow-bench/);
    assert.equal(receivers.opened.length, 0);
  });

  it('gives a place between the overlay addresses of the two, and tells the operator there', async () => {
    await start({ allowBench: true });
    const place = (await bench()) as BenchPlaceDocument;
    assert.equal(codeOf(place as never), 'agreed');
    assert.equal(place.address, b.host.addresses[0]!.split('/')[0]);
    assert.equal(place.from, a.host.addresses[0]!.split('/')[0]);
    assert.deepEqual([place.tcp, place.udp, place.seconds, place.mbps], [4001, 4002, 5, 100]);
    const [opened] = receivers.opened;
    assert.equal(place.token, Buffer.from(opened!.token).toString('hex'));
    assert.notEqual(place.token, place.proof);
    assert.ok(b.codes().includes('bench-accepted'));
  });

  it('is for one at a time, and free again when that has ended', async () => {
    await start({ allowBench: true });
    assert.equal(codeOf(await bench()), 'agreed');
    assert.equal(codeOf(await bench()), 'OVL_BENCH_BUSY');
    receivers.opened[0]!.end();
    await sim.run(10);
    assert.equal(codeOf(await bench()), 'agreed');
    assert.equal(receivers.opened.length, 2);
  });

  it('survives lost messages: one receiver, however often it was asked', async () => {
    await start({ allowBench: true });
    sim.network.setAll({ loss: 0.3 });
    let agreed = 0;
    for (let round = 0; round < 10; round++) {
      if (codeOf(await bench(6000)) === 'agreed') agreed += 1;
      const open = receivers.opened.length;
      assert.ok(open <= round + 1, `${open} receivers for ${round + 1} questions`);
      for (const one of receivers.opened) one.end();
      await sim.run(50);
    }
    assert.ok(agreed >= 7, `${agreed} of 10`);
  });

  it('ends in time when the other node does not answer', async () => {
    await start({ allowBench: true });
    b.kill();
    const outcome = await bench(5000);
    assert.ok(['OVL_TIMEOUT', 'OVL_BENCH_BROKEN'].includes(codeOf(outcome)), codeOf(outcome));
  });

  it('says so when the receiver could not be opened, and is free again', async () => {
    await start({ allowBench: true });
    receivers.fails = true;
    assert.equal(codeOf(await bench()), 'OVL_BENCH_REFUSED');
    receivers.fails = false;
    assert.equal(codeOf(await bench()), 'agreed');
  });

  it('knows no peer of another name, and not itself', async () => {
    await start({ allowBench: true });
    assert.equal(codeOf(await bench(1000, 'nobody')), 'OVL_NOT_FOUND');
    assert.equal(codeOf(await bench(1000, 'a')), 'OVL_PEER_SELF');
  });
});
