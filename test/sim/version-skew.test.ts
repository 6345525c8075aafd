import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { meshIdOf } from '../../src/crypto/mesh.js';
import type { DataPlaneEvent } from '../../src/dataplane/dataplane.js';
import { FakeDataPlane } from '../../src/dataplane/fake.js';
import type { Endpoint } from '../../src/model/endpoint.js';
import { macBytes } from '../../src/model/mac.js';
import { macOfPeer } from '../../src/model/peer-id.js';
import { encodePeerInfo } from '../../src/wire/control.js';
import { CONTROL } from '../../src/wire/control-types.js';
import { packMessage } from '../../src/wire/message-pack.js';
import { RESP_TYPE, RETRY_TYPE, parseRetry } from '../../src/wire/handshake.js';
import { NewerInitiator, type NewerSession } from '../unit/crypto/newer-initiator.js';
import { PORT, Sim, twoLinkedNodes, type SimNode } from './harness.js';

/*
 * A mesh that is upgraded host by host: a daemon of today, and a node of version 2 that dials it (docs/protocol.md §1.1).
 * The newer node is no daemon: this test does by hand what one would do with its data plane.
 */

const SUITE = 2;
const INDEX = 77;
const SLOT = 1;
const PATH = 1;
const UNKNOWN_TYPE = 200;

class NewerNode {
  readonly plane: FakeDataPlane;
  readonly initiator: NewerInitiator;
  readonly #sim: Sim;
  readonly #other: SimNode;
  readonly #to: Endpoint;
  readonly #seen: DataPlaneEvent[] = [];
  readonly frames: Uint8Array[] = [];

  constructor(sim: Sim, other: SimNode) {
    this.#sim = sim;
    this.#other = other;
    this.#to = { family: 4, address: other.address, port: PORT };
    const meshId = meshIdOf('default');
    const prs = new Uint8Array(createHash('sha256').update('secret').digest());
    this.initiator = new NewerInitiator(prs, meshId, {
      ...{ localIndex: INDEX, suites: SUITE, rng: sim.rng },
    });
    this.plane = new FakeDataPlane({
      network: sim.network,
      addresses: ['192.0.2.77'],
      secret: sim.rng.bytes(16),
    });
    this.plane.open({
      ...{ tapName: 'unused', mtuBytes: 1388, port: PORT, bind: [], meshId },
      ...{ suites: [SUITE], ownMacs: [], queuePairs: 0 },
    });
    this.plane.onFrame((frame) => this.frames.push(frame));
  }

  /** Events so far. */
  get seen(): readonly DataPlaneEvent[] {
    this.#seen.push(...this.plane.drain());
    return this.#seen;
  }

  /** Dials until a RESP is there, showing the cookie when it is asked for one. */
  async dial(): Promise<NewerSession> {
    this.#send(this.initiator.init);
    const retry = await this.#handshake(RETRY_TYPE, 20);
    if (retry) {
      const parsed = parseRetry(retry);
      assert.ok(parsed.ok);
      this.#send(this.initiator.initWithCookie(parsed.value.cookie));
    }
    const resp = await this.#handshake(RESP_TYPE, 20);
    assert.ok(resp, 'the older node answers');
    return this.initiator.onResp(resp);
  }

  /** Sends FIN and begins to talk, as a node of version 1 would. */
  finish({ fin, resp, keys, peer }: NewerSession): void {
    this.#send(fin);
    this.plane.apply([
      { kind: 'peerSet', peer: SLOT, id: peer, session: 0, path: 0 },
      {
        ...{ kind: 'sessionInstall', session: INDEX, peer: SLOT, suite: SUITE },
        remoteIndex: resp.senderIndex,
        rx: keys.responderToInitiator,
        tx: keys.initiatorToResponder,
      },
      {
        ...{ kind: 'pathSet', path: PATH, peer: SLOT, session: INDEX, datagramBytes: 1200 },
        address: this.#to,
      },
      { kind: 'peerSet', peer: SLOT, id: peer, session: INDEX, path: PATH },
    ]);
  }

  tell(type: number, body: Uint8Array): void {
    this.plane.send([{ kind: 'control', session: INDEX, path: 0, type, body }]);
  }

  /** An Ethernet frame to the older node's bridge. */
  frame(text: string): Uint8Array {
    const out = new Uint8Array(64);
    out.set(macBytes(macOfPeer(this.#other.id)), 0);
    out.set([0x02, 0, 0, 0, 0, 0x77], 6);
    out.set([0x88, 0xb5], 12);
    out.set(new TextEncoder().encode(text), 14);
    return out;
  }

  #send(bytes: Uint8Array): void {
    this.plane.send([{ kind: 'datagram', to: this.#to, bytes }]);
  }

  async #handshake(type: number, withinMs: number): Promise<Uint8Array | undefined> {
    const find = (): Uint8Array | undefined => {
      for (const event of this.seen) {
        if (event.kind === 'handshake' && event.bytes[0] === type) return event.bytes;
      }
      return undefined;
    };
    await this.#sim.time.runUntil(() => find() !== undefined, withinMs);
    return find();
  }
}

describe('a node of version 2 that also speaks version 1', () => {
  let sim: Sim;
  let old: SimNode;
  let newer: NewerNode;

  const rows = () => old.daemon.control.peers().peers.filter((peer) => !peer.self);
  const isLinked = () => rows().some((peer) => peer.state === 'established');
  const unknown = () => old.daemon.control.report().counters['unknown_messages'];

  beforeEach(async () => {
    sim = await Sim.create(3);
    old = sim.node('old');
    await old.start();
    newer = new NewerNode(sim, old);
  });
  afterEach(async () => {
    newer.plane.close();
    await sim.stopAll();
  });

  it('is answered in version 1 over its own INIT, and links', async () => {
    const session = await newer.dial();
    assert.equal(session.resp.version, 1);
    assert.equal(session.resp.flags, 0);
    assert.equal(session.resp.suite, SUITE);
    assert.equal(session.peer, old.id);
    newer.finish(session);
    await sim.until('the older node has a peer', isLinked, 1000);
    const isConfirmed = () => newer.seen.some(({ kind }) => kind === 'phaseConfirmed');
    await sim.until('FIN is answered by a keepalive', isConfirmed, 1000);
  });

  it('says what the older one does not know, which is counted, and goes on', async () => {
    newer.finish(await newer.dial());
    await sim.until('linked', isLinked, 1000);
    assert.equal(unknown(), 0);
    newer.tell(UNKNOWN_TYPE, packMessage({ anything: [1, 2, 3] }));
    newer.tell(UNKNOWN_TYPE + 1, Uint8Array.of(0xc1));
    const info = { nickname: 'newer', addresses: [], version: '2.0.0' };
    const body = encodePeerInfo(info);
    // Another key of the map: 0x83 says three, as 0x84 says four.
    const longer = new Uint8Array([...body, ...packMessage('mood'), ...packMessage([null, 'new'])]);
    longer[0] = (longer[0] ?? 0) + 1;
    newer.tell(CONTROL.PEER_INFO, longer);
    await sim.until('its name is read', () => rows()[0]?.nickname === 'newer', 1000);
    assert.equal(unknown(), 2);
    assert.ok(isLinked());
  });

  it('exchanges frames with it, also after messages that it does not know', async () => {
    newer.finish(await newer.dial());
    await sim.until('linked', isLinked, 1000);
    newer.tell(UNKNOWN_TYPE, new Uint8Array(0));
    newer.plane.injectFrame(newer.frame('from the newer'));
    await sim.until('a frame arrives', () => old.heard('from the newer'), 1000);
    const back = newer.frame('from the older');
    back.copyWithin(6, 0, 6);
    back.set([0x02, 0, 0, 0, 0, 0x77], 0);
    old.plane.injectFrame(back);
    await sim.until('one comes back', () => newer.frames.length > 0, 1000);
    assert.deepEqual(newer.frames[0], back);
    // Past the repetitions of FIN, the half-open time and the silence that would end a session.
    await sim.run(60_000);
    assert.ok(isLinked());
  });
});

describe('control messages of unknown types', () => {
  it('are counted by the one that gets them, and end no session', async () => {
    const { sim, a, b } = await twoLinkedNodes();
    const count = (node: SimNode) => node.daemon.control.report().counters['unknown_messages'];
    assert.deepEqual([count(a), count(b)], [0, 0]);
    const [session] = a.plane.readCounters().sessions;
    assert.ok(session);
    for (let type = 100; type < 110; type++) {
      const item = { session: session.session, path: 0, type, body: Uint8Array.of(type) };
      a.plane.send([{ kind: 'control', ...item }]);
    }
    await sim.until('b counts them', () => count(b) === 10, 1000);
    assert.equal(count(a), 0);
    assert.ok(a.sees(b) && b.sees(a));
    await sim.stopAll();
  });
});
