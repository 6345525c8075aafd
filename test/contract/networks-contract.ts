import assert from 'node:assert/strict';

import { OverlayError } from '../../src/base/errors.js';
import {
  MAX_NETWORK_ID,
  MAX_NETWORKS,
  SUITE_AES256GCM,
  type DataPlane,
  type DataPlaneEvent,
  type PeerSlot,
  type TableEntry,
} from '../../src/dataplane/dataplane.js';
import type { Endpoint } from '../../src/model/endpoint.js';
import type { Mac } from '../../src/model/mac.js';
import { arpRequest, frameOf, keyOf, MAC_A, MAC_C, macOf, peerOf, sameFrame } from './fixtures.js';

/*
 * What every data plane promises about several networks (docs/protocol.md §8), told by what a's TAPs read and c's TAPs
 * are written:
 *
 *   TAP of network 0     ─┐                   ┌─ TAP of network 0
 *   TAP of network 5     ─┤ a ══ one path ══ c├─ TAP of network 5
 *   TAP of network 6     ─┘                   └─ TAP of network 6
 */

export type NetworkSide = 'a' | 'c';

export interface NetworkLine {
  readonly planes: Readonly<Record<NetworkSide, DataPlane>>;
  readonly endpoints: Readonly<Record<NetworkSide, Endpoint>>;
  /** What the TAP of a network is called. */
  tapOf(side: NetworkSide, network: number): string;
  /** Listens at the TAPs of a network, which both have opened. */
  wire(network: number): Promise<void>;
  /** A frame that a's TAP of a wired network reads. */
  inject(network: number, frame: Uint8Array): void;
  /** Frames that c wrote to its TAP of a wired network. */
  framesOf(network: number): readonly Uint8Array[];
  until(isDone: () => boolean, withinMs: number): Promise<boolean>;
  close(): Promise<void>;
}

const WAIT_MS = 20_000;
const SLOT = 1;
const ABSENT = 2;
const BLUE = 5;
/** Its bits above 16 tell whether all 24 count: it equals BLUE in the lower ones. */
const RED = 0xab0005;
const BROADCAST = macOf('ff:ff:ff:ff:ff:ff');
const GUEST = macOf('02:00:00:00:00:77');
const GROUP = macOf('01:00:5e:01:02:03');

const sessionOf = (side: NetworkSide): number => (side === 'a' ? 0x1001 : 0x3001);

/** IGMPv2 report of the group. */
function reportFrame(): Uint8Array {
  const frame = frameOf(GROUP, MAC_A, '');
  frame.set([0x08, 0x00, 0x45, 0, 0, 28], 12);
  frame.set([1, 2], 22);
  frame.set([10, 0, 0, 1, 224, 1, 2, 3, 0x16], 26);
  return frame;
}

export function describeNetworks(name: string, makeLine: () => Promise<NetworkLine>): void {
  describe(`data plane contract, networks: ${name}`, () => {
    let line: NetworkLine;
    let a: DataPlane;
    let c: DataPlane;
    let seen: Record<NetworkSide, DataPlaneEvent[]>;

    const open = (side: NetworkSide, network: number, ownMacs: readonly Mac[] = []) => {
      const tapName = line.tapOf(side, network);
      line.planes[side].openNetwork({ network, tapName, mtuBytes: 1388, ownMacs });
    };
    const setMembers = (network: number, peers: readonly PeerSlot[]) => {
      a.apply([{ kind: 'membersSet', network, peers }]);
    };

    beforeEach(async () => {
      line = await makeLine();
      ({ a, c } = line.planes);
      seen = { a: [], c: [] };
      for (const side of ['a', 'c'] as const) {
        const plane = line.planes[side];
        plane.onReadable(() => seen[side].push(...plane.drain()));
        link(side, side === 'a' ? 'c' : 'a');
        open(side, BLUE, side === 'c' ? [GUEST] : []);
        open(side, RED);
      }
      for (const network of [0, BLUE, RED]) await line.wire(network);
      setMembers(BLUE, [SLOT]);
      setMembers(RED, [SLOT]);
      await eventually('a path', () => ofKind('a', 'pathAlive').length === 1);
    });

    afterEach(async () => {
      await line.close();
    });

    const link = (own: NetworkSide, peer: NetworkSide) => {
      const [session, address] = [sessionOf(own), line.endpoints[peer]];
      const id = peerOf(peer.repeat(32));
      const entries: TableEntry[] = [
        { kind: 'peerSet', peer: SLOT, id, session: 0, path: 0 },
        {
          kind: 'sessionInstall',
          session,
          peer: SLOT,
          remoteIndex: sessionOf(peer),
          suite: SUITE_AES256GCM,
          tx: keyOf(own === 'a' ? 1 : 2),
          rx: keyOf(own === 'a' ? 2 : 1),
        },
        { kind: 'pathSet', path: 11, peer: SLOT, session, address, datagramBytes: 1200 },
        { kind: 'peerSet', peer: SLOT, id, session, path: 11 },
      ];
      line.planes[own].apply(entries);
    };
    const ofKind = <K extends DataPlaneEvent['kind']>(side: NetworkSide, kind: K) =>
      seen[side].filter(
        (event): event is Extract<DataPlaneEvent, { kind: K }> => event.kind === kind,
      );
    const eventually = async (what: string, isDone: () => boolean) => {
      assert.ok(await line.until(isDone, WAIT_MS), what);
    };
    const has = (network: number, frame: Uint8Array) =>
      line.framesOf(network).some((got) => sameFrame(got, frame));
    /** Injects it, and a broadcast behind it in each network that is flooded: once those came, it has or never will. */
    let marks = 0;
    const arrivesIn = async (
      network: number,
      frame: Uint8Array,
      flooded: readonly number[] = [0, BLUE, RED],
    ): Promise<number[]> => {
      line.inject(network, frame);
      for (const marked of flooded) {
        const mark = frameOf(BROADCAST, MAC_A, `mark ${marks++}`);
        line.inject(marked, mark);
        await eventually(`the mark in ${marked}`, () => has(marked, mark));
      }
      return [0, BLUE, RED].filter((other) => has(other, frame));
    };
    const dropsOf = (plane: DataPlane, reason: string) => plane.readCounters().drops[reason] ?? 0n;
    const learned = (plane: DataPlane, mac: Mac) =>
      plane
        .dumpFdb()
        .filter((entry) => entry.mac === mac && !entry.isDeclared)
        .map((entry) => entry.network)
        .sort((x, y) => x - y);

    it('carries frames of a network to that network and to no other', async () => {
      for (const network of [0, BLUE, RED]) {
        const text = `in ${network}`;
        assert.deepEqual(await arrivesIn(network, frameOf(BROADCAST, MAC_A, text)), [network]);
        assert.deepEqual(await arrivesIn(network, frameOf(MAC_C, MAC_A, text)), [network]);
      }
      assert.equal(dropsOf(c, 'inner_network'), 0n);
    });

    it('keeps frames in their network that are cut to pieces under way', async () => {
      const large = new Uint8Array(1400);
      large.set(frameOf(BROADCAST, MAC_A, 'large'));
      large.fill(0x5a, 60);
      assert.deepEqual(await arrivesIn(BLUE, large), [BLUE]);
    });

    it('drops and counts frames of a network that is not open here', async () => {
      const frame = frameOf(BROADCAST, MAC_A, 'nobody home');
      c.closeNetwork(BLUE);
      line.inject(BLUE, frame);
      await eventually('counted', () => dropsOf(c, 'inner_network') === 1n);
      assert.ok([0, RED].every((network) => !has(network, frame)));
    });

    it('floods a network to its members, and to nobody without a list', async () => {
      setMembers(BLUE, []);
      const lost = frameOf(BROADCAST, MAC_A, 'to nobody');
      const unknown = frameOf(MAC_C, MAC_A, 'to nobody');
      line.inject(BLUE, lost);
      line.inject(BLUE, unknown);
      await eventually('both are dropped', () => dropsOf(a, 'flood_no_members') === 2n);
      assert.deepEqual(await arrivesIn(RED, frameOf(BROADCAST, MAC_A, 'red'), [0, RED]), [RED]);
      setMembers(BLUE, [SLOT]);
      assert.deepEqual(await arrivesIn(BLUE, frameOf(BROADCAST, MAC_A, 'again')), [BLUE]);
      assert.ok(!has(BLUE, lost) && !has(BLUE, unknown));
    });

    it('says that a member out of reach did not get a flood, and whose address it asked for', async () => {
      const id = peerOf('d'.repeat(32));
      setMembers(BLUE, [SLOT, ABSENT]);
      a.apply([{ kind: 'peerSet', peer: ABSENT, id, session: 0, path: 0 }]);
      line.inject(BLUE, arpRequest(MAC_A, [10, 32, 0, 7]));
      const told = () => ofKind('a', 'peerWanted').filter((event) => event.target !== 0);
      await eventually('told', () => told().length > 0);
      const expected = { kind: 'peerWanted', network: BLUE, peer: 0, target: 0x0a200007 };
      assert.deepEqual(told(), [expected]);
    });

    it('does not say so of peers that are no members', async () => {
      const id = peerOf('d'.repeat(32));
      a.apply([{ kind: 'peerSet', peer: ABSENT, id, session: 0, path: 0 }]);
      await arrivesIn(RED, arpRequest(MAC_A, [10, 32, 0, 7]));
      assert.deepEqual(
        ofKind('a', 'peerWanted').filter((event) => event.network !== 0),
        [],
      );
    });

    it('learns in each network by itself, and forgets the one that is closed', async () => {
      await arrivesIn(BLUE, frameOf(BROADCAST, MAC_C, 'seen'));
      await arrivesIn(RED, frameOf(BROADCAST, MAC_C, 'seen'));
      assert.deepEqual(learned(c, MAC_C), [BLUE, RED]);
      c.closeNetwork(BLUE);
      assert.deepEqual(learned(c, MAC_C), [RED]);
    });

    it('guards the MACs of each network in that one', async () => {
      const frame = frameOf(BROADCAST, GUEST, 'as the bridge');
      assert.deepEqual(await arrivesIn(BLUE, frame), []);
      assert.deepEqual(await arrivesIn(RED, frame), [RED]);
      c.apply([{ kind: 'fdbSet', network: RED, mac: MAC_C, peer: 0 }]);
      const posed = frameOf(BROADCAST, MAC_C, 'as a port');
      assert.deepEqual(await arrivesIn(RED, posed), []);
      assert.deepEqual(await arrivesIn(BLUE, posed), [BLUE]);
      await eventually('told', () => ofKind('c', 'macClaim').length > 0);
      const [claim] = ofKind('c', 'macClaim');
      const expected = { network: RED, mac: MAC_C, peer: SLOT, verdict: 'refused' };
      assert.deepEqual({ ...claim }, { kind: 'macClaim', ...expected });
    });

    it('sends to a declared MAC in its network only', async () => {
      setMembers(RED, []);
      a.apply([{ kind: 'fdbSet', network: RED, mac: GUEST, peer: SLOT }]);
      const frame = frameOf(GUEST, MAC_A, 'declared');
      line.inject(RED, frame);
      await eventually('arrived', () => has(RED, frame));
      setMembers(RED, [SLOT]);
      setMembers(BLUE, []);
      const unknown = frameOf(GUEST, MAC_A, 'not here');
      line.inject(BLUE, unknown);
      await eventually('dropped', () => dropsOf(a, 'flood_no_members') === 1n);
      setMembers(BLUE, [SLOT]);
      await arrivesIn(BLUE, frameOf(BROADCAST, MAC_A, 'behind it'));
      assert.ok(!has(BLUE, unknown));
    });

    it('has groups of its own in each network, and says where a report was heard', async () => {
      const toGroup = frameOf(GROUP, MAC_A, '');
      toGroup.set([0x08, 0x00, 0x45, 0, 0, 46], 12);
      toGroup.set([1, 17], 22);
      toGroup.set([10, 0, 0, 1, 224, 1, 2, 3], 26);
      a.apply([{ kind: 'groupSet', network: BLUE, mac: GROUP, peers: [] }]);
      assert.deepEqual(await arrivesIn(BLUE, toGroup), []);
      assert.deepEqual(await arrivesIn(RED, toGroup), [RED]);
      assert.deepEqual(await arrivesIn(RED, reportFrame()), [RED]);
      await eventually('told', () => ofKind('a', 'membership').length > 0);
      assert.deepEqual(
        ofKind('a', 'membership').map((event) => event.network),
        [RED],
      );
    });

    it("writes the control plane's own frames to the TAP of their network", async () => {
      const frame = frameOf(BROADCAST, MAC_C, 'from above');
      c.send([{ kind: 'tapFrame', network: RED, frame }]);
      await eventually('written', () => has(RED, frame));
      c.closeNetwork(BLUE);
      c.send([{ kind: 'tapFrame', network: BLUE, frame }]);
      assert.equal(dropsOf(c, 'tap_write'), 1n);
      const behind = frameOf(BROADCAST, MAC_A, 'behind');
      line.inject(0, behind);
      await eventually('the one behind', () => has(0, behind));
      assert.ok(!has(0, frame) && !has(BLUE, frame));
    });

    it('can be closed at any time and opened again, with what was set for it', async () => {
      a.closeNetwork(BLUE);
      a.closeNetwork(BLUE);
      a.closeNetwork(77);
      open('a', BLUE);
      await line.wire(BLUE);
      assert.deepEqual(await arrivesIn(BLUE, frameOf(BROADCAST, MAC_A, 'back')), [BLUE]);
    });

    it('refuses a network twice, ids out of range, the TAP of another, and one too many', () => {
      const refused = (side: NetworkSide, network: number, tapName: string) => {
        assert.throws(
          () => {
            line.planes[side].openNetwork({ network, tapName, mtuBytes: 1388, ownMacs: [] });
          },
          (error) => error instanceof OverlayError && error.code === 'OVL_TAP_OPEN',
        );
      };
      refused('a', BLUE, line.tapOf('a', 7));
      refused('a', 0, line.tapOf('a', 7));
      refused('a', MAX_NETWORK_ID + 1, line.tapOf('a', 7));
      refused('a', 7, line.tapOf('a', 0));
      refused('a', 7, line.tapOf('a', BLUE));
      for (let network = 100; network < 100 + MAX_NETWORKS - 2; network++) open('a', network);
      refused('a', 7, line.tapOf('a', 7));
      a.closeNetwork(100);
      open('a', 7);
    });

    it('refuses a list for the default network, and entries of networks that cannot be', () => {
      for (const network of [0, MAX_NETWORK_ID + 1]) {
        assert.throws(() => {
          setMembers(network, [SLOT]);
        }, /OVL_BATCH_REFUSED|Cannot apply/);
      }
    });
  });
}
