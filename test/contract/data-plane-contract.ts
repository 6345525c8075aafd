import assert from 'node:assert/strict';

import { TableWriter } from '../../src/daemon/table-writer.js';
import {
  MAX_NETWORK_ID,
  SUITE_AES256GCM,
  type DataPlane,
  type DataPlaneEvent,
  type SendItem,
  type TableEntry,
} from '../../src/dataplane/dataplane.js';
import { formatEndpoint, type Endpoint } from '../../src/model/endpoint.js';
import { formatPathAddress, type PathAddress } from '../../src/model/path-address.js';
import type { PeerId } from '../../src/model/peer-id.js';
import {
  arpRequest,
  frameOf,
  initOf,
  keyOf,
  MAC_A,
  MAC_B,
  macOf,
  peerOf,
  respOf,
  sameFrame,
  textOf,
} from './fixtures.js';

/*
 * What every data plane promises (src/dataplane/dataplane.ts), told between two of them, `a` and `b`, that are open and
 * can reach each other. The fake and the addon run the same story; only the rig differs.
 */

export interface Rig {
  readonly a: DataPlane;
  readonly b: DataPlane;
  readonly endpointA: Endpoint;
  readonly endpointB: Endpoint;
  readonly meshId: Uint8Array;
  /** A frame that a's TAP reads. */
  injectA(frame: Uint8Array): void;
  /** Frames b wrote to its TAP. */
  readonly framesB: readonly Uint8Array[];
  /** Waits, in whatever time the rig has, until it is true; false after `withinMs`. */
  until(isDone: () => boolean, withinMs: number): Promise<boolean>;
  close(): Promise<void>;
}

const PEER_A = peerOf('a'.repeat(32));
const PEER_B = peerOf('b'.repeat(32));
const SESSION_A = 0x0a0a0a0a;
const SESSION_B = 0x0b0b0b0b;
const CLOSE_TYPE = 14;
const PATH = 7;
const SLOT = 1;
const WAIT_MS = 20_000;
const QUIET_MS = 300;

/** `hasFrames`: the rig can put frames into a's TAP and see what b writes to its own. */
export function describeDataPlane(
  name: string,
  makeRig: () => Promise<Rig>,
  options: { readonly hasFrames: boolean },
): void {
  describe(`data plane contract: ${name}`, () => {
    let rig: Rig;
    let seenA: DataPlaneEvent[];
    let seenB: DataPlaneEvent[];

    beforeEach(async () => {
      rig = await makeRig();
      seenA = [];
      seenB = [];
      rig.a.onReadable(() => seenA.push(...rig.a.drain()));
      rig.b.onReadable(() => seenB.push(...rig.b.drain()));
    });

    afterEach(async () => {
      await rig.close();
    });

    const ofKind = <K extends DataPlaneEvent['kind']>(events: DataPlaneEvent[], kind: K) =>
      events.filter((event): event is Extract<DataPlaneEvent, { kind: K }> => event.kind === kind);
    const eventually = async (what: string, isDone: () => boolean) => {
      const isTrue = await rig.until(isDone, WAIT_MS);
      const kinds = [seenA, seenB].map((events) => events.map((event) => event.kind).join(' '));
      assert.ok(isTrue, `${what}; a saw [${kinds[0]}], b saw [${kinds[1]}]`);
    };
    const quiet = () => rig.until(() => false, QUIET_MS);

    /** Sessions with matching keys on both sides; no path yet. */
    const join = (more: { a?: TableEntry[]; b?: TableEntry[] } = {}) => {
      rig.a.apply([...sessionEntries('a', PEER_B), ...(more.a ?? [])]);
      rig.b.apply([...sessionEntries('b', PEER_A), ...(more.b ?? [])]);
    };
    const pathEntries = (session: number, address: PathAddress, id: PeerId): TableEntry[] => [
      { kind: 'pathSet', path: PATH, peer: SLOT, session, address, datagramBytes: 1200 },
      { kind: 'peerSet', peer: SLOT, id, session, path: PATH },
    ];
    const joinWithPaths = () => {
      join({
        a: pathEntries(SESSION_A, rig.endpointB, PEER_B),
        b: pathEntries(SESSION_B, rig.endpointA, PEER_A),
      });
    };

    it('hands up a handshake datagram as it was sent, with its source', async () => {
      const bytes = respOf();
      rig.a.send([{ kind: 'datagram', to: rig.endpointB, bytes }]);
      await eventually('b hears it', () => ofKind(seenB, 'handshake').length === 1);
      const [event] = ofKind(seenB, 'handshake');
      assert.deepEqual(new Uint8Array(event!.bytes), bytes);
      assert.equal(formatPathAddress(event!.from), formatEndpoint(rig.endpointA));
    });

    it('drops handshake datagrams of a wrong size or type, and INITs of a wrong version', async () => {
      const wrong = [respOf().subarray(1), initOf(rig.meshId), respOf()];
      wrong[0]!.set([2, 1]);
      wrong[1]!.set([1, 0]);
      wrong[2]!.set([0x77, 1]);
      for (const bytes of wrong) rig.a.send([{ kind: 'datagram', to: rig.endpointB, bytes }]);
      await quiet();
      assert.deepEqual(ofKind(seenB, 'handshake'), []);
    });

    it('hands up an INIT of this mesh', async () => {
      rig.a.send([{ kind: 'datagram', to: rig.endpointB, bytes: initOf(rig.meshId) }]);
      await eventually('b hears it', () => ofKind(seenB, 'handshake').length === 1);
      assert.equal(ofKind(seenB, 'handshake')[0]?.hasCookie, false);
      assert.equal(ofKind(seenB, 'handshake')[0]?.resumed, false);
    });

    it('hands up an INIT of a later version, which may use flags and our zeros', async () => {
      const bytes = initOf(rig.meshId);
      bytes.set([2, 0xff, 0xff], 1);
      bytes.fill(0xee, 77, 472);
      rig.a.send([{ kind: 'datagram', to: rig.endpointB, bytes }]);
      await eventually('b hears it', () => ofKind(seenB, 'handshake').length === 1);
      assert.deepEqual(new Uint8Array(ofKind(seenB, 'handshake')[0]!.bytes), bytes);
    });

    it('answers an INIT of another mesh with REJECT and says so', async () => {
      const bytes = initOf(new Uint8Array(16).fill(9));
      rig.a.send([{ kind: 'datagram', to: rig.endpointB, bytes }]);
      await eventually('b says so', () => ofKind(seenB, 'otherMesh').length === 1);
      await eventually('a gets REJECT', () => ofKind(seenA, 'handshake').length === 1);
      assert.equal(ofKind(seenA, 'handshake')[0]?.bytes[0], 5);
      assert.deepEqual(ofKind(seenB, 'handshake'), []);
    });

    it('asks a source that comes again for a cookie, which then passes', async () => {
      const cookies: Uint8Array[] = [];
      for (let index = 1; index <= 20 && cookies.length === 0; index++) {
        rig.a.send([{ kind: 'datagram', to: rig.endpointB, bytes: initOf(rig.meshId, index) }]);
        await rig.until(() => retryIn(seenA) !== undefined, 50);
        const retry = retryIn(seenA);
        if (retry) cookies.push(retry);
      }
      const [retry] = cookies;
      assert.ok(retry, 'no RETRY came');
      const index = new DataView(retry.buffer, retry.byteOffset).getUint32(4, true);
      const bytes = initOf(rig.meshId, index);
      bytes.set(retry.subarray(8, 24), 496);
      seenB.length = 0;
      rig.a.send([{ kind: 'datagram', to: rig.endpointB, bytes }]);
      await eventually('it passes', () => ofKind(seenB, 'handshake').length === 1);
      assert.equal(ofKind(seenB, 'handshake')[0]?.hasCookie, true);
    });

    it('reports the first authentic datagram of a session once', async () => {
      join();
      const keepalive = { kind: 'keepalive', session: SESSION_A, to: rig.endpointB } as const;
      rig.a.send([keepalive]);
      await eventually('confirmed', () => ofKind(seenB, 'phaseConfirmed').length === 1);
      rig.a.send([keepalive]);
      await quiet();
      const [event, ...more] = ofKind(seenB, 'phaseConfirmed');
      assert.deepEqual(more, []);
      assert.equal(event?.session, SESSION_B);
      assert.equal(event.phase, 0);
      assert.equal(formatPathAddress(event.from), formatEndpoint(rig.endpointA));
    });

    it('opens nothing that was sealed with another key, and counts it', async () => {
      rig.a.apply(sessionEntries('a', PEER_B, 99));
      rig.b.apply(sessionEntries('b', PEER_A));
      rig.a.send([{ kind: 'keepalive', session: SESSION_A, to: rig.endpointB }]);
      const forged = () =>
        rig.b.readCounters().sessions.find((session) => session.session === SESSION_B)?.forged;
      await eventually('it is counted', () => forged() === 1n);
      assert.deepEqual(seenB, []);
    });

    it('tells about an authentic source that is no path, once a second', async () => {
      join();
      const keepalive = { kind: 'keepalive', session: SESSION_A, to: rig.endpointB } as const;
      for (let count = 0; count < 5; count++) rig.a.send([keepalive]);
      await eventually('it is seen', () => ofKind(seenB, 'endpointSeen').length > 0);
      await quiet();
      const seen = ofKind(seenB, 'endpointSeen');
      assert.equal(seen.length, 1);
      assert.equal(formatPathAddress(seen[0]!.from), formatEndpoint(rig.endpointA));
    });

    it('carries control messages, also ones larger than the path', async () => {
      joinWithPaths();
      for (const length of [0, 40, 2000]) {
        const body = new Uint8Array(length).fill(length & 0xff);
        rig.a.send([{ kind: 'control', session: SESSION_A, path: 0, type: CLOSE_TYPE, body }]);
      }
      await eventually('all three', () => ofKind(seenB, 'control').length === 3);
      const got = ofKind(seenB, 'control');
      assert.deepEqual(
        got.map((event) => event.body.length).sort((x, y) => x - y),
        [0, 40, 2000],
      );
      assert.ok(got.every((event) => event.type === CLOSE_TYPE && event.session === SESSION_B));
    });

    it('finds a path alive, says how it is observed, and keeps its PINGs to itself', async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      assert.equal(ofKind(seenA, 'pathAlive')[0]?.path, PATH);
      await eventually('observed', () => ofKind(seenA, 'observed').length === 1);
      const [observed] = ofKind(seenA, 'observed');
      assert.equal(formatEndpoint(observed!.endpoint), formatEndpoint(rig.endpointA));
      assert.deepEqual(ofKind(seenA, 'control'), []);
      const clock = rig.a.readCounters().paths.find((path) => path.path === PATH);
      assert.equal(clock?.isAlive, true);
      assert.ok(clock.srttUs > 0);
    });

    it('answers a probe with its size', async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      rig.a.send([{ kind: 'probe', path: PATH, datagramBytes: 1444 }]);
      await eventually('answered', () => ofKind(seenA, 'probeAnswered').length === 1);
      assert.equal(ofKind(seenA, 'probeAnswered')[0]?.datagramBytes, 1444);
    });

    it('reads a new phase beside the old one', async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      rig.b.apply([{ kind: 'sessionRxKey', session: SESSION_B, phase: 1, rx: keyOf(11) }]);
      seenB.length = 0;
      rig.a.send([mark(1)]);
      await eventually('old phase is read', () => ofKind(seenB, 'control').length === 1);
      rig.a.apply([{ kind: 'sessionTxKey', session: SESSION_A, phase: 1, tx: keyOf(11) }]);
      rig.a.send([mark(2)]);
      await eventually('new phase is read', () => ofKind(seenB, 'control').length === 2);
      assert.equal(ofKind(seenB, 'phaseConfirmed')[0]?.phase, 1);
    });

    it('reads a phase no more once it is retired', async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      rig.b.apply([
        { kind: 'sessionRxKey', session: SESSION_B, phase: 1, rx: keyOf(11) },
        { kind: 'sessionRxRetire', session: SESSION_B, phase: 0 },
      ]);
      rig.a.send([mark(1)]);
      await quiet();
      assert.deepEqual(ofKind(seenB, 'control'), []);
    });

    it('reads phase after phase, past the one where the byte on the wire wraps', async () => {
      join();
      for (let phase = 1; phase <= 260; phase++) {
        const key = keyOf(phase % 251);
        if (phase > 1) {
          rig.b.apply([{ kind: 'sessionRxRetire', session: SESSION_B, phase: phase - 2 }]);
        }
        rig.b.apply([{ kind: 'sessionRxKey', session: SESSION_B, phase, rx: key }]);
        rig.a.apply([{ kind: 'sessionTxKey', session: SESSION_A, phase, tx: key }]);
        rig.a.send([{ kind: 'keepalive', session: SESSION_A, to: rig.endpointB }]);
        await eventually(`phase ${phase}`, () => ofKind(seenB, 'phaseConfirmed').length === phase);
      }
      const confirmed = ofKind(seenB, 'phaseConfirmed').map((event) => event.phase);
      assert.deepEqual(
        confirmed,
        Array.from({ length: 260 }, (_, index) => index + 1),
      );
      const [session] = rig.b.readCounters().sessions;
      assert.equal(session?.forged, 0n);
    });

    it('takes a batch as a whole or not at all', async () => {
      join();
      assert.throws(
        () => {
          rig.a.apply([
            { kind: 'sessionRemove', session: SESSION_A },
            { kind: 'sessionTxKey', session: 0x1234567, phase: 1, tx: keyOf(1) },
          ]);
        },
        { code: 'OVL_BATCH_REFUSED' },
      );
      rig.a.send([{ kind: 'keepalive', session: SESSION_A, to: rig.endpointB }]);
      await eventually('the session is still there', () =>
        ofKind(seenB, 'phaseConfirmed').some((event) => event.session === SESSION_B),
      );
    });

    it('names the entry it refuses, so that all others can be applied', async () => {
      const said: string[] = [];
      const emit = ({ message }: { readonly message: string }) => void said.push(message);
      const writer = new TableWriter({ dataplane: rig.a, emit });
      const unknown = 0x1234567;
      const wrong: TableEntry[] = [
        { kind: 'sessionTxKey', session: unknown, phase: 1, tx: keyOf(1) },
        { kind: 'peerSet', peer: 5000, id: PEER_B, session: 0, path: 0 },
        { kind: 'peerSet', peer: SLOT, id: PEER_B, session: unknown, path: 0 },
        { kind: 'labelSet', label: 0, peer: SLOT, outLabel: 0, forward: 0 },
        { kind: 'fdbSet', network: MAX_NETWORK_ID + 1, mac: MAC_B, peer: SLOT },
        { kind: 'neighbourSet', network: 0, address: '10.32.0.300', mac: MAC_B, isGuarded: false },
      ];
      join();
      const right = pathEntries(SESSION_A, rig.endpointB, PEER_B);
      writer.write([...wrong.slice(0, 3), ...right, ...wrong.slice(3)], 0);
      rig.b.apply(pathEntries(SESSION_B, rig.endpointA, PEER_A));
      await eventually('the path is there', () => ofKind(seenA, 'pathAlive').length === 1);
      const [warning] = writer.warnings;
      assert.match(warning?.message ?? '', /^6 entries/);
      assert.equal(said.length, 1);
      assert.doesNotMatch(said.join(), /iv|key /);
    });

    it('forgets a removed session', async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      rig.b.apply([
        { kind: 'peerSet', peer: SLOT, id: PEER_A, session: 0, path: 0 },
        { kind: 'pathRemove', path: PATH },
        { kind: 'sessionRemove', session: SESSION_B },
      ]);
      await quiet();
      seenB.length = 0;
      rig.a.send([{ kind: 'keepalive', session: SESSION_A, to: rig.endpointB }]);
      await quiet();
      assert.deepEqual(seenB, []);
      assert.deepEqual(rig.b.readCounters().sessions, []);
      assert.deepEqual(rig.b.readCounters().paths, []);
    });

    it('closes twice without harm', () => {
      rig.a.close();
      rig.a.close();
    });

    if (!options.hasFrames) return;

    it('sends a frame to the peer its MAC is declared at', async () => {
      joinWithPaths();
      rig.a.apply([{ kind: 'fdbSet', network: 0, mac: MAC_B, peer: SLOT }]);
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      const frame = frameOf(MAC_B, MAC_A, 'declared');
      rig.injectA(frame);
      await eventually('b writes it', () => rig.framesB.some((got) => sameFrame(got, frame)));
      assert.deepEqual(
        rig.a.dumpFdb().map(({ mac, peer, isDeclared }) => ({ mac, peer, isDeclared })),
        [{ mac: MAC_B, peer: SLOT, isDeclared: true }],
      );
    });

    it('learns where a MAC is from what arrives', async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      const guest = macOf('02:00:00:00:00:77');
      const frame = frameOf(macOf('ff:ff:ff:ff:ff:ff'), guest, 'flooded');
      rig.injectA(frame);
      await eventually('b writes it', () => rig.framesB.some((got) => sameFrame(got, frame)));
      await eventually('b learnt it', () => rig.b.dumpFdb().some((entry) => entry.mac === guest));
      const [entry] = rig.b.dumpFdb().filter((other) => other.mac === guest);
      assert.deepEqual(
        { peer: entry?.peer, isDeclared: entry?.isDeclared },
        { peer: SLOT, isDeclared: false },
      );
    });

    it("refuses a frame that pretends to come from the receiver's own MAC", async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      const forged = frameOf(macOf('ff:ff:ff:ff:ff:ff'), MAC_B, 'forged');
      rig.injectA(forged);
      const honest = frameOf(macOf('ff:ff:ff:ff:ff:ff'), MAC_A, 'honest');
      rig.injectA(honest);
      await eventually('the honest one', () => rig.framesB.some((got) => sameFrame(got, honest)));
      assert.ok(!rig.framesB.some((got) => sameFrame(got, forged)));
    });

    it('sends nothing to a peer that is known and not reachable', async () => {
      joinWithPaths();
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      rig.a.apply([{ kind: 'peerSet', peer: SLOT, id: PEER_B, session: 0, path: 0 }]);
      rig.injectA(frameOf(macOf('ff:ff:ff:ff:ff:ff'), MAC_A, 'to nobody'));
      await quiet();
      assert.ok(!rig.framesB.some((got) => textOf(got).startsWith('to nobody')));
    });

    it('says for whom a frame came that has no session, once a second', async () => {
      rig.a.apply([
        { kind: 'peerSet', peer: SLOT, id: PEER_B, session: 0, path: 0 },
        { kind: 'fdbSet', network: 0, mac: MAC_B, peer: SLOT },
      ]);
      const wanted = (peer: number) => () =>
        ofKind(seenA, 'peerWanted').filter((event) => event.peer === peer);
      for (let count = 0; count < 5; count++) rig.injectA(frameOf(MAC_B, MAC_A, 'first'));
      await eventually('it is told', () => wanted(SLOT)().length > 0);
      assert.deepEqual(wanted(SLOT)(), [{ kind: 'peerWanted', network: 0, peer: SLOT, target: 0 }]);
    });

    it('says that a flood did not get to all, and whose address it asked for', async () => {
      rig.a.apply([{ kind: 'peerSet', peer: SLOT, id: PEER_B, session: 0, path: 0 }]);
      rig.injectA(frameOf(macOf('33:33:00:00:00:16'), MAC_A, 'listener report'));
      rig.injectA(frameOf(macOf('ff:ff:ff:ff:ff:ff'), MAC_A, 'for all'));
      rig.injectA(arpRequest(MAC_A, [10, 32, 0, 7]));
      const told = () => ofKind(seenA, 'peerWanted');
      await eventually('both are told', () => told().some((event) => event.target !== 0));
      // Other floods of the host's own kernel may be among them.
      assert.ok(told().some((event) => event.peer === 0 && event.target === 0x0a200007));
      assert.ok(told().some((event) => event.peer === 0 && event.target === 0));
      assert.ok(told().every((event) => event.peer === 0));
    });
  });
}

function retryIn(events: readonly DataPlaneEvent[]): Uint8Array | undefined {
  for (const event of events) {
    if (event.kind === 'handshake' && event.bytes[0] === 4) return new Uint8Array(event.bytes);
  }
  return undefined;
}

/** `keyShift`: makes a's tx key another than b's rx key. */
function sessionEntries(side: 'a' | 'b', id: PeerId, keyShift = 0): TableEntry[] {
  const isA = side === 'a';
  return [
    { kind: 'peerSet', peer: SLOT, id, session: 0, path: 0 },
    {
      kind: 'sessionInstall',
      session: isA ? SESSION_A : SESSION_B,
      peer: SLOT,
      remoteIndex: isA ? SESSION_B : SESSION_A,
      suite: SUITE_AES256GCM,
      tx: keyOf((isA ? 1 : 2) + keyShift),
      rx: keyOf((isA ? 2 : 1) + keyShift),
    },
  ];
}

function mark(value: number): SendItem {
  const body = Uint8Array.of(value);
  return { kind: 'control', session: SESSION_A, path: 0, type: CLOSE_TYPE, body };
}
