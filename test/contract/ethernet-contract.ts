import assert from 'node:assert/strict';

import {
  SUITE_AES256GCM,
  type DataPlaneEvent,
  type TableEntry,
} from '../../src/dataplane/dataplane.js';
import { macBytes, type Mac } from '../../src/model/mac.js';
import {
  arpRequest,
  frameOf,
  keyOf,
  MAC_A,
  MAC_C,
  macOf,
  peerOf,
  sameFrame,
  solicitation,
} from './fixtures.js';
import type { Line } from './relay-contract.js';

/*
 * What every data plane promises about MACs and groups (docs/protocol.md §10), told by a, which has sessions with b and
 * c, and by what c writes to its TAP.
 */

type Side = 'a' | 'b' | 'c';

const SLOT = { a: 1, b: 2, c: 3 } as const;
const WAIT_MS = 20_000;
const BROADCAST = macOf('ff:ff:ff:ff:ff:ff');
const GUEST = macOf('02:00:00:00:00:77');
const GROUP = macOf('01:00:5e:01:02:03');
const ROUTERS = macOf('00:00:00:00:00:00');
const TTL_AND_IGMP = [1, 2] as const;

const sessionOf = (own: Side, peer: Side): number => 0x1000 * SLOT[own] + SLOT[peer];
const keyFor = (from: Side, to: Side) => keyOf(SLOT[from] * 16 + SLOT[to]);

/** IPv4 to a group; `igmp`: of this IGMP type, else UDP. */
function groupFrame(group: Mac, text: string, igmp?: number): Uint8Array {
  const frame = frameOf(group, MAC_A, '');
  frame.set([0x08, 0x00, 0x45, 0, 0, 46], 12);
  frame.set(igmp === undefined ? [1, 17] : TTL_AND_IGMP, 22);
  frame.set([10, 0, 0, 1, 224, ...macBytes(group).subarray(3)], 26);
  frame.set([igmp ?? 0, 0, 0, 0, ...Buffer.from(text)], 34);
  return frame;
}

export function describeEthernet(name: string, makeLine: () => Promise<Line>): void {
  describe(`data plane contract, Ethernet: ${name}`, () => {
    let line: Line;
    let seen: Record<Side, DataPlaneEvent[]>;

    beforeEach(async () => {
      line = await makeLine();
      seen = { a: [], b: [], c: [] };
      for (const side of ['a', 'b', 'c'] as const) {
        const plane = line.planes[side];
        plane.onReadable(() => seen[side].push(...plane.drain()));
      }
      for (const peer of ['b', 'c'] as const) {
        link('a', peer);
        link(peer, 'a');
      }
      await eventually('neighbours', () => ofKind('a', 'pathAlive').length === 2);
    });

    afterEach(async () => {
      await line.close();
    });

    const link = (own: Side, peer: Side) => {
      const [session, path] = [sessionOf(own, peer), 10 + SLOT[peer]];
      const id = peerOf(peer.repeat(32));
      const address = line.endpoints[peer];
      const entries: TableEntry[] = [
        { kind: 'peerSet', peer: SLOT[peer], id, session: 0, path: 0 },
        {
          kind: 'sessionInstall',
          session,
          peer: SLOT[peer],
          remoteIndex: sessionOf(peer, own),
          suite: SUITE_AES256GCM,
          tx: keyFor(own, peer),
          rx: keyFor(peer, own),
        },
        { kind: 'pathSet', path, peer: SLOT[peer], session, address, datagramBytes: 1200 },
        { kind: 'peerSet', peer: SLOT[peer], id, session, path },
      ];
      line.planes[own].apply(entries);
    };
    const ofKind = <K extends DataPlaneEvent['kind']>(side: Side, kind: K) =>
      seen[side].filter(
        (event): event is Extract<DataPlaneEvent, { kind: K }> => event.kind === kind,
      );
    const eventually = async (what: string, isDone: () => boolean) => {
      assert.ok(await line.until(isDone, WAIT_MS), what);
    };
    const hasC = (frame: Uint8Array) => line.framesC.some((got) => sameFrame(got, frame));
    /** Injects it, and a broadcast behind it: once c has that, the first has come or never will. */
    let marks = 0;
    const reachesC = async (frame: Uint8Array): Promise<boolean> => {
      line.injectA(frame);
      const mark = frameOf(BROADCAST, MAC_A, `mark ${marks++}`);
      line.injectA(mark);
      await eventually('the mark', () => hasC(mark));
      return hasC(frame);
    };
    const claims = (side: Side) =>
      ofKind(side, 'macClaim').map(({ network, mac, peer, verdict }) => {
        return { network, mac, peer, verdict };
      });

    it('refuses a source that is declared elsewhere, and says who sent it', async () => {
      line.planes.c.apply([
        { kind: 'peerSet', peer: SLOT.b, id: peerOf('b'.repeat(32)), session: 0, path: 0 },
        { kind: 'fdbSet', network: 0, mac: GUEST, peer: SLOT.b },
      ]);
      assert.ok(!(await reachesC(frameOf(BROADCAST, GUEST, 'stolen'))));
      await eventually('told', () => claims('c').length > 0);
      const expected = { network: 0, mac: GUEST, peer: SLOT.a, verdict: 'refused' };
      assert.deepEqual(claims('c')[0], expected);
      assert.equal(line.planes.c.readCounters().drops['source_guard'], 1n);
    });

    it('refuses the MAC of a local port from every peer, and sends nothing to it', async () => {
      line.planes.c.apply([{ kind: 'fdbSet', network: 0, mac: GUEST, peer: 0 }]);
      assert.ok(!(await reachesC(frameOf(BROADCAST, GUEST, 'mine'))));
      assert.equal(line.planes.c.readCounters().drops['own_source'], 1n);
      line.planes.a.apply([{ kind: 'fdbSet', network: 0, mac: GUEST, peer: 0 }]);
      assert.ok(!(await reachesC(frameOf(GUEST, MAC_A, 'stays'))));
      assert.equal(line.planes.a.readCounters().drops['own_destination'], 1n);
      line.planes.c.apply([{ kind: 'fdbRemove', network: 0, mac: GUEST }]);
      line.planes.a.apply([{ kind: 'fdbRemove', network: 0, mac: GUEST }]);
      assert.ok(await reachesC(frameOf(BROADCAST, GUEST, 'free')));
    });

    it('tells that a MAC declared at a peer sends from here, and does not while it is ours', async () => {
      line.planes.a.apply([{ kind: 'fdbSet', network: 0, mac: GUEST, peer: SLOT.b }]);
      await reachesC(frameOf(BROADCAST, GUEST, 'moved'));
      await eventually('told', () => claims('a').length > 0);
      assert.deepEqual(claims('a'), [{ network: 0, mac: GUEST, peer: SLOT.b, verdict: 'local' }]);
      line.planes.a.apply([{ kind: 'fdbSet', network: 0, mac: GUEST, peer: 0 }]);
      await reachesC(frameOf(BROADCAST, GUEST, 'again'));
      assert.equal(claims('a').length, 1);
    });

    it('keeps pause frames and those of the link to this host', async () => {
      const pause = frameOf(BROADCAST, MAC_A, 'pause');
      pause.set([0x88, 0x08], 12);
      assert.ok(!(await reachesC(pause)));
      assert.ok(!(await reachesC(frameOf(macOf('01:80:c2:00:00:00'), MAC_A, 'bpdu'))));
      const { drops } = line.planes.a.readCounters();
      assert.equal(drops['mac_control'], 1n);
      assert.equal(drops['reserved_multicast'], 1n);
    });

    it('sends frames of a group to its listeners, and those of other groups to all', async () => {
      line.planes.a.apply([{ kind: 'groupSet', network: 0, mac: GROUP, peers: [SLOT.b] }]);
      assert.ok(!(await reachesC(groupFrame(GROUP, 'for b'))));
      assert.ok(await reachesC(groupFrame(macOf('01:00:5e:01:02:04'), 'for all')));
      line.planes.a.apply([{ kind: 'groupSet', network: 0, mac: GROUP, peers: [SLOT.c] }]);
      assert.ok(await reachesC(groupFrame(GROUP, 'for c')));
      line.planes.a.apply([{ kind: 'groupRemove', network: 0, mac: GROUP }]);
      assert.ok(await reachesC(groupFrame(GROUP, 'for all again')));
    });

    it('floods groups of the link whatever was set for them', async () => {
      const mdns = macOf('01:00:5e:00:00:fb');
      line.planes.a.apply([{ kind: 'groupSet', network: 0, mac: mdns, peers: [SLOT.b] }]);
      assert.ok(await reachesC(groupFrame(mdns, 'mdns')));
    });

    it('tells of IGMP, and hands reports to routers only', async () => {
      const report = groupFrame(GROUP, 'report', 0x16);
      assert.ok(await reachesC(report), 'while nobody is known to be none');
      await eventually('told', () => ofKind('a', 'membership').length === 1);
      const [event] = ofKind('a', 'membership');
      assert.ok(sameFrame(new Uint8Array(event!.frame), report));
      assert.equal(event?.missed, 0);
      line.planes.a.apply([{ kind: 'groupSet', network: 0, mac: ROUTERS, peers: [SLOT.b] }]);
      assert.ok(!(await reachesC(groupFrame(GROUP, 'another report', 0x16))));
      const query = groupFrame(macOf('01:00:5e:00:00:01'), 'query', 0x11);
      assert.ok(await reachesC(query));
      await eventually('all told', () => ofKind('a', 'membership').length === 3);
    });

    describe('floods along a tree', () => {
      const idOfSide = (side: Side) => peerOf(side.repeat(32));
      const setTree = (side: Side, peers: readonly Side[]) => {
        const slots = peers.map((peer) => SLOT[peer]);
        line.planes[side].apply([{ kind: 'treeSet', origin: idOfSide(side), peers: slots }]);
      };
      const heardByC = (frame: Uint8Array): number =>
        line.framesC.filter((got) => sameFrame(got, frame)).length;
      let floods = 0;
      const flood = (): Uint8Array => frameOf(BROADCAST, MAC_A, `flood ${floods++}`);

      beforeEach(async () => {
        link('b', 'c');
        link('c', 'b');
        await eventually('b and c', () => ofKind('b', 'pathAlive').length === 2);
      });

      it('are handed on by who gets them, and come once however many ways there are', async () => {
        setTree('a', ['b']);
        setTree('b', ['a', 'c']);
        setTree('c', ['a', 'b']);
        const first = flood();
        line.injectA(first);
        await eventually('heard', () => hasC(first));
        setTree('a', ['b', 'c']);
        const second = flood();
        line.injectA(second);
        const isAgain = () => (line.planes.c.readCounters().drops['flood_again'] ?? 0n) > 0n;
        await eventually('heard and came again', () => hasC(second) && isAgain());
        assert.deepEqual([heardByC(first), heardByC(second)], [1, 1]);
        const learned = line.planes.c.dumpFdb().find(({ mac }) => mac === MAC_A);
        assert.deepEqual([learned?.peer, learned?.isDeclared], [SLOT.a, false]);
      });

      it('are refused where their source is declared elsewhere than their origin', async () => {
        setTree('a', ['b']);
        setTree('b', ['a', 'c']);
        setTree('c', ['b']);
        line.planes.c.apply([{ kind: 'fdbSet', network: 0, mac: MAC_A, peer: SLOT.b }]);
        const posing = flood();
        line.injectA(posing);
        const isRefused = () => line.planes.c.readCounters().drops['source_guard'] === 1n;
        await eventually('refused', isRefused);
        assert.equal(heardByC(posing), 0);
      });

      it('are taken and passed on by who has neighbours for them, and by nobody else', async () => {
        setTree('a', ['b']);
        setTree('c', ['b']);
        const refused = flood();
        line.injectA(refused);
        const isRefused = () => line.planes.b.readCounters().drops['flood_no_tree'] === 1n;
        await eventually('refused', isRefused);
        line.planes.b.apply([{ kind: 'treeSet', origin: undefined, peers: [SLOT.a, SLOT.c] }]);
        const taken = flood();
        line.injectA(taken);
        await eventually('heard', () => hasC(taken));
        assert.equal(heardByC(refused), 0);
      });

      it('end with the tree', async () => {
        setTree('a', ['b']);
        line.planes.a.apply([{ kind: 'treeSet', origin: undefined, peers: [] }]);
        const frame = flood();
        line.injectA(frame);
        await eventually('heard', () => hasC(frame));
        assert.equal(line.planes.b.readCounters().totals['floods_passed'] ?? 0n, 0n);
      });
    });

    describe('who has an address', () => {
      const FROM = [10, 32, 0, 1];
      const TARGET = [10, 32, 0, 9];
      /** Each with other padding, to be told apart. */
      const question = (): Uint8Array => {
        const frame = arpRequest(MAC_A, TARGET, FROM);
        frame[59] = marks;
        return frame;
      };
      const answered = () =>
        Number(line.planes.a.readCounters().totals['neighbours_answered'] ?? 0);
      const isAnswer = (bytes: readonly number[]) => (frame: Uint8Array) =>
        sameFrame(frame, Uint8Array.from(bytes));
      const hears = (bytes: readonly number[]): Promise<void> =>
        eventually('answered', () => line.framesA.some(isAnswer(bytes)));

      beforeEach(() => {
        line.planes.a.apply([
          { kind: 'fdbSet', network: 0, mac: GUEST, peer: SLOT.b },
          { kind: 'neighbourSet', network: 0, address: '10.32.0.9', mac: GUEST, isGuarded: false },
          { kind: 'neighbourSet', network: 0, address: 'fd01::9', mac: GUEST, isGuarded: false },
        ]);
      });

      it('is said by this data plane, in both families, and nobody is asked', async () => {
        assert.ok(!(await reachesC(question())));
        const [asker, guest] = [macBytes(MAC_A), macBytes(GUEST)];
        const arp = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2];
        await hears([...asker, ...guest, ...arp, ...guest, ...TARGET, ...asker, ...FROM]);
        assert.ok(!(await reachesC(solicitation(MAC_A))));
        const ip = [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255, 0xfd, 1];
        await hears([...asker, ...guest, ...ip]);
        assert.equal(answered(), 2);
      });

      it('is asked of all where it is not known, or not to be said for another', async () => {
        assert.ok(await reachesC(arpRequest(MAC_A, [10, 32, 0, 8], FROM)));
        assert.ok(await reachesC(arpRequest(MAC_A, TARGET, [0, 0, 0, 0])), 'a probe');
        assert.ok(await reachesC(arpRequest(MAC_A, TARGET, TARGET)), 'an announcement');
        assert.ok(await reachesC(solicitation(MAC_A, new Uint8Array(16))), 'a probe');
        line.planes.a.apply([{ kind: 'neighbourRemove', network: 0, address: '10.32.0.9' }]);
        assert.ok(await reachesC(question()));
        assert.equal(answered(), 0);
      });

      it('is asked of all while its peer is out of reach, or its MAC is nowhere', async () => {
        const id = peerOf('b'.repeat(32));
        const link = { session: sessionOf('a', 'b'), path: 10 + SLOT.b };
        line.planes.a.apply([{ kind: 'peerSet', peer: SLOT.b, id, ...link, path: 0 }]);
        assert.ok(await reachesC(question()));
        assert.ok(await reachesC(solicitation(MAC_A)));
        const wanted = () => ofKind('a', 'peerWanted').filter(({ peer }) => peer === SLOT.b);
        await eventually('b is wanted', () => wanted().length > 0);
        assert.equal(wanted()[0]?.target, 0);
        line.planes.a.apply([{ kind: 'peerSet', peer: SLOT.b, id, ...link }]);
        assert.ok(!(await reachesC(question())));
        line.planes.a.apply([{ kind: 'fdbRemove', network: 0, mac: GUEST }]);
        assert.ok(await reachesC(question()));
        assert.equal(answered(), 1);
      });
    });

    describe("an address that is one member's alone", () => {
      const ADDRESS = '10.32.0.9';
      const [IPV4, IPV6] = [
        [10, 32, 0, 9],
        [0xfd, 1, ...Array.from({ length: 13 }, () => 0), 9],
      ];
      /** Of a that tells c where the address is, each with other padding. */
      const arp = (): Uint8Array => {
        const frame = arpRequest(MAC_A, [10, 32, 0, 1], IPV4);
        frame[59] = marks;
        return frame;
      };
      const packet = (from = IPV4): Uint8Array => {
        const frame = frameOf(BROADCAST, MAC_A, '');
        frame.set([0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, ...from], 12);
        frame.set([10, 32, 255, 255, 0, 1, 0, 2, 0, 26, 0, 0, marks], 30);
        return frame;
      };
      /** An unasked advertisement from a link-local address. */
      const advertisement = (): Uint8Array => {
        const frame = new Uint8Array(86);
        frame.set([0x33, 0x33, 0, 0, 0, 1, ...macBytes(MAC_A), 0x86, 0xdd, 0x60, 0, 0, 0, 0, 32]);
        frame.set([58, 255, 0xfe, 0x80], 20);
        frame.set([0xff, 2], 38);
        frame.set([136, 0, 0, 0, 0x20, 0, 0, marks, ...IPV6], 54);
        return frame;
      };
      const guard = (peer: number, isGuarded = true): void => {
        line.planes.c.apply([
          { kind: 'fdbSet', network: 0, mac: GUEST, peer },
          { kind: 'neighbourSet', network: 0, address: ADDRESS, mac: GUEST, isGuarded },
          { kind: 'neighbourSet', network: 0, address: 'fd01::9', mac: GUEST, isGuarded },
        ]);
      };
      const setB = (session: number, path: number): void => {
        const id = peerOf('b'.repeat(32));
        line.planes.c.apply([{ kind: 'peerSet', peer: SLOT.b, id, session, path }]);
      };
      const passes = async (): Promise<readonly boolean[]> => [
        await reachesC(arp()),
        await reachesC(packet()),
        await reachesC(advertisement()),
      ];

      beforeEach(() => {
        setB(0, 0);
        link('c', 'b');
      });

      it('is used by nobody else, and who tries is told', async () => {
        guard(SLOT.b);
        assert.deepEqual(await passes(), [false, false, false]);
        assert.ok(await reachesC(packet([10, 32, 0, 8])), 'another address');
        await eventually('told', () => claims('c').length > 0);
        const spoofed = { network: 0, mac: MAC_A, peer: SLOT.a, verdict: 'spoofed' };
        assert.deepEqual(claims('c')[0], spoofed);
        assert.equal(line.planes.c.readCounters().drops['spoofed_address'], 3n);
      });

      it('is used by nobody else where it is on this host', async () => {
        guard(0);
        assert.deepEqual(await passes(), [false, false, false]);
      });

      it('is free for its owner, where it is not guarded, and while its owner is away', async () => {
        guard(SLOT.a);
        assert.deepEqual(await passes(), [true, true, true]);
        guard(SLOT.b, false);
        assert.deepEqual(await passes(), [true, true, true]);
        guard(SLOT.b);
        setB(0, 0);
        assert.deepEqual(await passes(), [true, true, true]);
      });
    });

    it("writes the control plane's own frames to the TAP", async () => {
      const frame = frameOf(BROADCAST, MAC_C, 'from above');
      line.planes.c.send([{ kind: 'tapFrame', network: 0, frame }]);
      await eventually('written', () => hasC(frame));
    });
  });
}
