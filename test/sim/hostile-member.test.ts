import assert from 'node:assert/strict';

import { meshIdOf } from '../../src/crypto/mesh.js';
import { recordSigner } from '../../src/crypto/record-signature.js';
import { peerIdBytes } from '../../src/model/peer-id.js';
import { signRecord } from '../../src/records/signed-record.js';
import { CONTROL } from '../../src/wire/control-types.js';
import { encodeLinksRecord } from '../../src/wire/links-record.js';
import { encodePeerRecord } from '../../src/wire/peer-record.js';
import { MAX_RECORD_VERSION, RECORD_KIND } from '../../src/wire/record.js';
import { encodeRecords } from '../../src/wire/records.js';
import { Sim, type SimNode } from './harness.js';

/*
 * Issue 4, acceptance 8: one member that knows the password and does what it likes with records. The others: five
 * daemons, each linked with each and with it. Whatever it says, their links stay, what it forges is refused, what it
 * makes them send is bounded, and events name it.
 */

/** Above what its own daemon signed: versions are reserved a minute ahead. */
const AHEAD_MS = 120_000;
const NONE = new Uint8Array(0);
const VICTIMS = Array.from({ length: 8 }, (_, at) => `203.0.113.${at + 1}`);

class Hostile {
  readonly node: SimNode;
  readonly #sim: Sim;

  constructor(sim: Sim, node: SimNode) {
    this.#sim = sim;
    this.node = node;
  }

  sign(
    kind: number,
    key: Uint8Array,
    body: Uint8Array,
    version = this.#sim.time.wallMs() + AHEAD_MS,
  ): Uint8Array {
    const { identity } = this.node.state;
    const crypto = recordSigner(identity, meshIdOf('default'));
    const { publicKey } = identity;
    return signRecord({ kind, key, version, isTombstone: false, body, publicKey }, crypto).bytes;
  }

  /** In the name of another; the signature is its own. */
  forge(victim: SimNode, kind: number, body: Uint8Array, version: number): Uint8Array {
    const { identity } = this.node.state;
    const crypto = recordSigner(identity, meshIdOf('default'));
    const { publicKey } = victim.state.identity;
    const fields = { kind, key: NONE, version, isTombstone: false, body, publicKey };
    return signRecord(fields, crypto).bytes;
  }

  push(records: readonly Uint8Array[]): void {
    const body = encodeRecords({ id: 0, index: 0, count: 1, isMore: false, records });
    for (const { session } of this.node.plane.readCounters().sessions) {
      this.node.plane.send([{ kind: 'control', session, path: 0, type: CONTROL.RECORDS, body }]);
    }
  }
}

function peerBody(nickname: string, addresses: readonly string[]): Uint8Array {
  return encodePeerRecord({
    nickname,
    endpoints: addresses.map((address) => ({ family: 4, address, port: 6783 })),
    addresses: [],
    version: '1',
    isRelay: true,
  });
}

async function besieged(
  seed: number,
): Promise<{ sim: Sim; members: readonly SimNode[]; hostile: Hostile }> {
  const sim = await Sim.create(seed);
  const first = sim.node('n0');
  const members = [first];
  for (let at = 1; at < 5; at++) members.push(sim.node(`n${at}`, { peers: [first.address] }));
  const mallory = sim.node('mallory', { peers: [first.address] });
  for (const node of [...members, mallory]) await node.start();
  const all = [...members, mallory];
  await sim.until(
    'all reach all',
    () => all.every((node) => node.daemon.control.status().peers.reachable === all.length),
    10_000,
  );
  await sim.run(5000);
  return { sim, members, hostile: new Hostile(sim, mallory) };
}

function assertUnharmed(members: readonly SimNode[]): void {
  for (const node of members) {
    for (const other of members) {
      if (other === node) continue;
      assert.ok(node.sees(other), `${node.name} sees ${other.name}`);
      assert.equal(node.peerRow(other)?.nickname, other.name);
    }
    const ids = members.map((other) => other.id);
    const lost = node.events.filter(
      ({ code, peer }) => code === 'peer-lost' && ids.some((id) => id === peer),
    );
    assert.deepEqual(lost, []);
  }
}

function named(members: readonly SimNode[], code: string, hostile: Hostile): number {
  const isNamed = (node: SimNode): boolean =>
    node.events.some((event) => event.code === code && event.peer === hostile.node.id);
  return members.filter(isNamed).length;
}

describe('a hostile member with records', () => {
  it('that floods its own is cut to its share, and named', async () => {
    const { sim, members, hostile } = await besieged(81);
    const before = sim.records.verifications;
    let count = 0;
    const stop = sim.every(100, () => {
      const records = Array.from({ length: 12 }, () => {
        count += 1;
        const key = new TextEncoder().encode(`k${count}`);
        return hostile.sign(RECORD_KIND.NAME, key, new Uint8Array(100));
      });
      hostile.push(records);
    });
    await sim.run(20_000);
    stop();
    // 256 fill its shelf, then 64 and one a second displace others; each node looks at each once.
    const looks = (sim.records.verifications - before) / (members.length + 1);
    assert.ok(count >= 2000 && looks < 450, `${looks} of ${count} looked at by each`);
    assert.equal(named(members, 'record-quota', hostile), members.length);
    assertUnharmed(members);
    await sim.stopAll();
  });

  it('that forges, replays, lies about links and versions, and retires everybody, is refused', async () => {
    const { sim, members, hostile } = await besieged(82);
    const [victim] = members as [SimNode];
    const replayed = hostile.sign(RECORD_KIND.PEER, NONE, peerBody('mallory', []), 1);
    const costs = new Map(members.map((node) => [node.id, 0]));
    const forgeries = [MAX_RECORD_VERSION, sim.time.wallMs() + AHEAD_MS].flatMap((version) =>
      Array.from({ length: 8 }, (_, at) =>
        hostile.forge(victim, RECORD_KIND.PEER, peerBody(`stolen${at}`, VICTIMS), version),
      ),
    );
    const removals = members.map((node) => {
      const key = new Uint8Array(32);
      key.set(peerIdBytes(node.id), 0);
      key.set(peerIdBytes(hostile.node.id), 16);
      return hostile.sign(RECORD_KIND.REMOVED, key, NONE);
    });
    hostile.push([hostile.sign(RECORD_KIND.LINKS, NONE, encodeLinksRecord(costs))]);
    hostile.push([replayed, ...removals]);
    hostile.push([
      hostile.sign(RECORD_KIND.PEER, NONE, peerBody('mallory', []), MAX_RECORD_VERSION),
    ]);
    hostile.push(forgeries.slice(0, 8));
    hostile.push(forgeries.slice(8));
    await sim.run(120_000);
    assertUnharmed(members);
    assert.equal(named(members, 'record-forged', hostile), members.length);
    assert.equal(named(members, 'peer-removal', hostile), members.length);
    assert.ok(members.every((node) => !node.codes().includes('peer-removed')));
    // What the honest say still spreads.
    await victim.stop();
    await victim.start({ nickname: 'renamed' });
    const isTold = (): boolean =>
      members.every((node) => node === victim || node.peerRow(victim)?.nickname === 'renamed');
    await sim.until('the new name is known', isTold, 5000);
    await sim.stopAll();
  });

  it('that lists victims as its endpoints makes nobody probe them often', async () => {
    const { sim, members, hostile } = await besieged(83);
    const sent = new Map<string, number>();
    let worst = 0;
    sim.network.onSend((from, to) => {
      if (!VICTIMS.includes(to.address)) return;
      const key = `${from.address} ${Math.floor(sim.time.nowMs() / 1000)}`;
      sent.set(key, (sent.get(key) ?? 0) + 1);
      worst = Math.max(worst, sent.get(key) ?? 0);
    });
    let isOdd = false;
    const stop = sim.every(1500, () => {
      isOdd = !isOdd;
      const addresses = isOdd ? VICTIMS : [...VICTIMS].reverse();
      hostile.push([hostile.sign(RECORD_KIND.PEER, NONE, peerBody('mallory', addresses))]);
    });
    await sim.run(60_000);
    stop();
    assert.ok(sent.size > 0, 'the victims are asked at all');
    assert.ok(worst <= 20, `${worst} in one second`);
    assertUnharmed(members);
    await sim.stopAll();
  });
});
