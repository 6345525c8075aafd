import assert from 'node:assert/strict';

import {
  SUITE_AES256GCM,
  type DataPlane,
  type DataPlaneEvent,
  type TableEntry,
} from '../../src/dataplane/dataplane.js';
import type { Endpoint } from '../../src/model/endpoint.js';
import { formatPathAddress, type PathAddress } from '../../src/model/path-address.js';
import { frameOf, initOf, keyOf, MAC_A, MAC_C, peerOf, respOf, sameFrame } from './fixtures.js';

/*
 * What every data plane promises about labels (docs/protocol.md §7), told on the line a - b - c. Each pair of neighbours
 * has a session and a path; a and c share keys that b does not have, and reach each other under labels:
 *
 *   a ── [b1] ──► b ── [c1] ──► c        labels in brackets belong to their receiver
 *     ◄── [a1] ──   ◄── [b2] ──
 */

type Side = 'a' | 'b' | 'c';

export interface Line {
  readonly planes: Readonly<Record<Side, DataPlane>>;
  readonly endpoints: Readonly<Record<Side, Endpoint>>;
  readonly meshId: Uint8Array;
  /** A frame that a's TAP reads. */
  injectA(frame: Uint8Array): void;
  /** Frames a wrote to its TAP. */
  readonly framesA: readonly Uint8Array[];
  /** Frames c wrote to its TAP. */
  readonly framesC: readonly Uint8Array[];
  until(isDone: () => boolean, withinMs: number): Promise<boolean>;
  close(): Promise<void>;
}

const LABEL = { a1: 0xa1a1a1a1, b1: 0xb1b1b1b1, b2: 0xb2b2b2b2, c1: 0xc1c1c1c1 } as const;
const STRAY = 0xdeadbeef;
/** Slots, as everybody counts. */
const SLOT = { a: 1, b: 2, c: 3 } as const;
const RELAYED_PATH = 99;
const TYPE = 14;
const WAIT_MS = 20_000;
const QUIET_MS = 300;
const HEADER_BYTES = 8;

const relayed = (label: number): PathAddress => ({ family: 'relay', label });
const sessionOf = (own: Side, peer: Side): number => 0x1000 * SLOT[own] + SLOT[peer];
const pathOf = (peer: Side): number => 10 + SLOT[peer];
/** One key for each direction. */
const keyFor = (from: Side, to: Side) => keyOf(SLOT[from] * 16 + SLOT[to]);
const idOf = (side: Side) => peerOf(side.repeat(32));

function sessionEntries(own: Side, peer: Side): TableEntry[] {
  return [
    { kind: 'peerSet', peer: SLOT[peer], id: idOf(peer), session: 0, path: 0 },
    {
      kind: 'sessionInstall',
      session: sessionOf(own, peer),
      peer: SLOT[peer],
      remoteIndex: sessionOf(peer, own),
      suite: SUITE_AES256GCM,
      tx: keyFor(own, peer),
      rx: keyFor(peer, own),
    },
  ];
}

function pathEntries(
  own: Side,
  peer: Side,
  path: number,
  address: PathAddress,
  datagramBytes = 1200,
): TableEntry[] {
  const session = sessionOf(own, peer);
  return [
    { kind: 'pathSet', path, peer: SLOT[peer], session, address, datagramBytes },
    { kind: 'peerSet', peer: SLOT[peer], id: idOf(peer), session, path },
  ];
}

function labelEntry(label: number, peer: Side, outLabel: number, forward: number): TableEntry {
  return { kind: 'labelSet', label, peer: SLOT[peer], outLabel, forward };
}

export function describeRelay(name: string, makeLine: () => Promise<Line>): void {
  describe(`data plane contract, relays: ${name}`, () => {
    let line: Line;
    let seen: Record<Side, DataPlaneEvent[]>;

    beforeEach(async () => {
      line = await makeLine();
      seen = { a: [], b: [], c: [] };
      for (const side of ['a', 'b', 'c'] as const) {
        const plane = line.planes[side];
        plane.onReadable(() => seen[side].push(...plane.drain()));
      }
      const { a, b, c } = line.endpoints;
      link('a', 'b', b);
      link('b', 'a', a);
      link('b', 'c', c);
      link('c', 'b', b);
      await eventually(
        'neighbours',
        () => [...seen.a, ...seen.b, ...seen.c].filter((e) => e.kind === 'pathAlive').length === 4,
      );
    });

    afterEach(async () => {
      await line.close();
    });

    const link = (own: Side, peer: Side, address: PathAddress) => {
      const entries = pathEntries(own, peer, pathOf(peer), address);
      line.planes[own].apply([...sessionEntries(own, peer), ...entries]);
    };
    const ofKind = <K extends DataPlaneEvent['kind']>(side: Side, kind: K) =>
      seen[side].filter(
        (event): event is Extract<DataPlaneEvent, { kind: K }> => event.kind === kind,
      );
    const eventually = async (what: string, isDone: () => boolean) => {
      const isTrue = await line.until(isDone, WAIT_MS);
      const kinds = (['a', 'b', 'c'] as const).map(
        (side) => `${side} saw [${seen[side].map((event) => event.kind).join(' ')}]`,
      );
      assert.ok(isTrue, `${what}; ${kinds.join(', ')}`);
    };
    const quiet = () => line.until(() => false, QUIET_MS);

    /** The label pair as the control planes would set it. */
    const layPair = () => {
      line.planes.a.apply([labelEntry(LABEL.a1, 'b', LABEL.b1, 0)]);
      line.planes.b.apply([
        labelEntry(LABEL.b1, 'a', LABEL.a1, LABEL.b2),
        labelEntry(LABEL.b2, 'c', LABEL.c1, LABEL.b1),
      ]);
      line.planes.c.apply([labelEntry(LABEL.c1, 'b', LABEL.b2, 0)]);
    };
    /** Also sessions and paths of the ends over it. */
    const joinEnds = async (datagramBytes = 1200) => {
      layPair();
      for (const [own, peer, label] of [
        ['a', 'c', LABEL.a1],
        ['c', 'a', LABEL.c1],
      ] as const) {
        const path = pathEntries(own, peer, RELAYED_PATH, relayed(label), datagramBytes);
        line.planes[own].apply([...sessionEntries(own, peer), ...path]);
      }
      await eventually('the relayed path lives', () =>
        (['a', 'c'] as const).every((side) =>
          ofKind(side, 'pathAlive').some((event) => event.path === RELAYED_PATH),
        ),
      );
    };
    const countersOf = (side: Side, label: number) =>
      line.planes[side].readCounters().labels.find((entry) => entry.label === label);
    const dropsOf = (side: Side, reason: string) =>
      line.planes[side].readCounters().drops[reason] ?? 0n;
    /** Under any label, from a to b. */
    const sendStray = (from: 'a' | 'c', outLabel: number) => {
      line.planes[from].apply([labelEntry(STRAY, 'b', outLabel, 0)]);
      const session = sessionOf(from, 'b');
      line.planes[from].send([{ kind: 'keepalive', session, to: relayed(STRAY) }]);
    };

    it('hands up a handshake datagram that came under a label of ours', async () => {
      layPair();
      const bytes = respOf();
      line.planes.a.send([{ kind: 'datagram', to: relayed(LABEL.a1), bytes }]);
      await eventually('c hears it', () => ofKind('c', 'handshake').length === 1);
      const [event] = ofKind('c', 'handshake');
      assert.deepEqual(new Uint8Array(event!.bytes), bytes);
      assert.equal(formatPathAddress(event!.from), formatPathAddress(relayed(LABEL.c1)));
      assert.deepEqual(ofKind('b', 'handshake'), []);
    });

    it('answers an INIT of another mesh along the way it came', async () => {
      layPair();
      const bytes = initOf(new Uint8Array(16).fill(9));
      line.planes.a.send([{ kind: 'datagram', to: relayed(LABEL.a1), bytes }]);
      await eventually('a gets REJECT', () => ofKind('a', 'handshake').length === 1);
      const [event] = ofKind('a', 'handshake');
      assert.equal(event?.bytes[0], 5);
      assert.equal(formatPathAddress(event.from), formatPathAddress(relayed(LABEL.a1)));
    });

    it('asks a label that comes again for a cookie, which then passes', async () => {
      layPair();
      let retry: Uint8Array | undefined;
      for (let index = 1; index <= 20 && !retry; index++) {
        const bytes = initOf(line.meshId, index);
        line.planes.a.send([{ kind: 'datagram', to: relayed(LABEL.a1), bytes }]);
        await line.until(() => ofKind('a', 'handshake').length > 0, 50);
        const [event] = ofKind('a', 'handshake');
        if (event?.bytes[0] === 4) retry = new Uint8Array(event.bytes);
      }
      assert.ok(retry, 'no RETRY came');
      const index = new DataView(retry.buffer, retry.byteOffset).getUint32(4, true);
      const bytes = initOf(line.meshId, index);
      bytes.set(retry.subarray(8, 24), 496);
      seen.c.length = 0;
      line.planes.a.send([{ kind: 'datagram', to: relayed(LABEL.a1), bytes }]);
      await eventually('it passes', () => ofKind('c', 'handshake').length === 1);
      assert.equal(ofKind('c', 'handshake')[0]?.hasCookie, true);
    });

    it('keeps the clock of a relayed path, and tells of no endpoint where there is none', async () => {
      await joinEnds();
      const clock = line.planes.a.readCounters().paths.find((path) => path.path === RELAYED_PATH);
      assert.equal(clock?.isAlive, true);
      assert.ok(clock.srttUs > 0);
      assert.ok(clock.rxDatagrams > 0n && clock.txDatagrams > 0n);
      await quiet();
      assert.deepEqual(
        ofKind('a', 'observed').filter((event) => event.path === RELAYED_PATH),
        [],
      );
    });

    it('carries control messages both ways, also ones larger than the path', async () => {
      await joinEnds();
      for (const length of [0, 2000]) {
        for (const [own, peer] of [
          ['a', 'c'],
          ['c', 'a'],
        ] as const) {
          const body = new Uint8Array(length).fill(7);
          const session = sessionOf(own, peer);
          line.planes[own].send([{ kind: 'control', session, path: 0, type: TYPE, body }]);
        }
      }
      for (const [own, label] of [
        ['a', LABEL.a1],
        ['c', LABEL.c1],
      ] as const) {
        await eventually(`${own} hears both`, () => ofKind(own, 'control').length === 2);
        const got = ofKind(own, 'control');
        assert.deepEqual(
          got.map((event) => event.body.length).sort((x, y) => x - y),
          [0, 2000],
        );
        assert.ok(
          got.every((e) => formatPathAddress(e.from) === formatPathAddress(relayed(label))),
        );
      }
      assert.deepEqual(ofKind('b', 'control'), []);
    });

    it('tells about an authentic source under a label that is no path', async () => {
      layPair();
      line.planes.a.apply(sessionEntries('a', 'c'));
      line.planes.c.apply(sessionEntries('c', 'a'));
      const session = sessionOf('a', 'c');
      line.planes.a.send([{ kind: 'keepalive', session, to: relayed(LABEL.a1) }]);
      await eventually('seen', () => ofKind('c', 'endpointSeen').length === 1);
      const from = ofKind('c', 'endpointSeen')[0]!.from;
      assert.equal(formatPathAddress(from), formatPathAddress(relayed(LABEL.c1)));
    });

    it('answers a probe with the size of the UDP payload, our header included', async () => {
      await joinEnds();
      const before = countersOf('b', LABEL.b1)!;
      line.planes.a.send([{ kind: 'probe', path: RELAYED_PATH, datagramBytes: 1444 }]);
      await eventually('answered', () => ofKind('a', 'probeAnswered').length === 1);
      assert.equal(ofKind('a', 'probeAnswered')[0]?.datagramBytes, 1444);
      const after = countersOf('b', LABEL.b1)!;
      const others = after.datagrams - before.datagrams - 1n; // PINGs of the clock, 16 bytes of body
      const ping = BigInt(HEADER_BYTES + 38 + 4 + 16);
      assert.ok(after.bytes - before.bytes >= 1444n);
      assert.ok(after.bytes - before.bytes <= 1444n + others * ping);
    });

    it('carries frames, one as long as the path allows whole', async () => {
      await joinEnds(600);
      line.planes.a.apply([{ kind: 'fdbSet', network: 0, mac: MAC_C, peer: SLOT.c }]);
      for (const length of [60, 600 - HEADER_BYTES - 38, 1000]) {
        const frame = new Uint8Array(length).fill(length & 0xff);
        frame.set(frameOf(MAC_C, MAC_A, `of ${length} bytes`));
        line.injectA(frame);
        await eventually(`c writes ${length}`, () =>
          line.framesC.some((got) => got.length >= length && sameFrame(got, frame)),
        );
      }
    });

    it('counts what came under a label, at the relay and at the end', async () => {
      await joinEnds();
      const session = sessionOf('a', 'c');
      const before = { b: countersOf('b', LABEL.b1)!, c: countersOf('c', LABEL.c1)! };
      for (let count = 0; count < 3; count++) {
        const body = new Uint8Array(100);
        line.planes.a.send([{ kind: 'control', session, path: 0, type: TYPE, body }]);
      }
      await eventually('c hears them', () => ofKind('c', 'control').length === 3);
      const bytes = BigInt(3 * (HEADER_BYTES + 38 + 4 + 100));
      for (const [side, label] of [
        ['b', LABEL.b1],
        ['c', LABEL.c1],
      ] as const) {
        const after = countersOf(side, label)!;
        assert.ok(after.datagrams - before[side].datagrams >= 3n);
        assert.ok(after.bytes - before[side].bytes >= bytes);
      }
    });

    it('takes nothing under a label from an address of another peer', async () => {
      layPair();
      sendStray('c', LABEL.b1); // a's
      await eventually('it is dropped', () => dropsOf('b', 'relay_source') === 1n);
      assert.equal(countersOf('b', LABEL.b1)?.datagrams, 0n);
      await quiet();
      assert.equal(countersOf('a', LABEL.a1)?.datagrams, 0n);
      assert.deepEqual(ofKind('b', 'labelUnknown'), []);
    });

    it('tells whose unknown label came, once a second', async () => {
      for (let count = 0; count < 3; count++) sendStray('a', 0x77);
      await eventually('it is told', () => ofKind('b', 'labelUnknown').length > 0);
      await eventually('all are dropped', () => dropsOf('b', 'relay_unknown') === 3n);
      await quiet();
      assert.deepEqual(ofKind('b', 'labelUnknown'), [
        { kind: 'labelUnknown', peer: SLOT.a, label: 0x77 },
      ]);
    });

    it('ends a loop when the ttl is used up', async () => {
      line.planes.b.apply([
        labelEntry(LABEL.b1, 'a', LABEL.a1, LABEL.b2),
        labelEntry(LABEL.b2, 'a', LABEL.a1, LABEL.b1),
      ]);
      line.planes.a.apply([
        labelEntry(LABEL.a1, 'b', LABEL.b1, 0xa2),
        labelEntry(0xa2, 'b', LABEL.b1, LABEL.a1),
      ]);
      sendStray('a', LABEL.b1);
      await eventually('it is dropped', () => dropsOf('a', 'relay_ttl') === 1n);
      await quiet();
      // 4 to b, 3 to a, 2 to b, 1 to a.
      assert.equal(countersOf('b', LABEL.b1)?.datagrams, 2n);
      assert.equal(countersOf('a', LABEL.a1)?.datagrams, 2n);
    });

    it('never nests: what must go on over a relayed path is dropped', async () => {
      await joinEnds();
      // a's label that leads to c, whom a reaches through b only.
      line.planes.a.apply([
        labelEntry(0xa2, 'b', LABEL.b1, 0xa3),
        labelEntry(0xa3, 'c', 0xc3, 0xa2),
      ]);
      line.planes.b.apply([labelEntry(STRAY, 'a', 0xa2, 0)]);
      const session = sessionOf('b', 'a');
      line.planes.b.send([{ kind: 'keepalive', session, to: relayed(STRAY) }]);
      await eventually('it is dropped', () => dropsOf('a', 'relay_nested') === 1n);
    });

    it('forgets a removed label, and says so when it comes again', async () => {
      await joinEnds();
      line.planes.b.apply([
        { kind: 'labelRemove', label: LABEL.b1 },
        { kind: 'labelRemove', label: LABEL.b2 },
      ]);
      assert.deepEqual(line.planes.b.readCounters().labels, []);
      const session = sessionOf('a', 'c');
      const body = new Uint8Array(4);
      line.planes.a.send([{ kind: 'control', session, path: 0, type: TYPE, body }]);
      await eventually('b tells', () =>
        ofKind('b', 'labelUnknown').some((event) => event.label === LABEL.b1),
      );
      assert.deepEqual(ofKind('c', 'control'), []);
    });

    it('sends nothing under a label that the neighbour has not chosen yet', async () => {
      layPair();
      line.planes.a.apply([labelEntry(LABEL.a1, 'b', 0, 0)]);
      const to = relayed(LABEL.a1);
      line.planes.a.send([{ kind: 'datagram', to, bytes: respOf() }]);
      await eventually('it is dropped', () => dropsOf('a', 'relay_unknown') === 1n);
    });

    it('refuses labels of unknown peers and to unknown labels, and applies nothing then', () => {
      const good = labelEntry(LABEL.b1, 'a', LABEL.a1, 0);
      const { b } = line.planes;
      for (const bad of [
        labelEntry(0, 'a', 1, 0),
        { kind: 'labelSet', label: 5, peer: 77, outLabel: 6, forward: 0 } as const,
        labelEntry(LABEL.b2, 'c', LABEL.c1, 0x123),
      ]) {
        assert.throws(
          () => {
            b.apply([good, bad]);
          },
          { code: 'OVL_BATCH_REFUSED' },
        );
      }
      assert.deepEqual(b.readCounters().labels, []);
    });
  });
}
