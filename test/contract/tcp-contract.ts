import assert from 'node:assert/strict';

import {
  SUITE_AES256GCM,
  type DataPlaneEvent,
  type TableEntry,
} from '../../src/dataplane/dataplane.js';
import { formatPathAddress, type PathAddress } from '../../src/model/path-address.js';
import type { Rig } from './data-plane-contract.js';
import { frameOf, initOf, keyOf, MAC_A, MAC_B, peerOf, respOf, sameFrame } from './fixtures.js';

/*
 * What every data plane promises about TCP connections (docs/protocol.md §6): `a` dials, `b` accepts, and the same
 * datagrams go down the connection that would have gone over UDP.
 */

const DIALLED = 7;
const FIRST_ACCEPTED = 2 ** 31;
const SESSION = { a: 0x0a0a0a0a, b: 0x0b0b0b0b } as const;
const SLOT = 1;
const PATH = 9;
const TYPE = 14;
const WAIT_MS = 20_000;
const INIT_WITHIN_MS = 5000;

export function describeTcp(name: string, makeRig: () => Promise<Rig>): void {
  describe(`data plane contract, TCP: ${name}`, function () {
    this.timeout(120_000);
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
    afterEach(() => rig.close());

    const ofKind = <K extends DataPlaneEvent['kind']>(events: DataPlaneEvent[], kind: K) =>
      events.filter((event): event is Extract<DataPlaneEvent, { kind: K }> => event.kind === kind);
    const eventually = async (what: string, isDone: () => boolean, withinMs = WAIT_MS) => {
      const isTrue = await rig.until(isDone, withinMs);
      const kinds = [seenA, seenB].map((events) => events.map((event) => event.kind).join(' '));
      assert.ok(isTrue, `${what}; a saw [${kinds[0]}], b saw [${kinds[1]}]`);
    };
    const down = (connection: number): PathAddress => ({ family: 'tcp', connection });

    /** @returns the number b gave it. */
    const connect = async (): Promise<number> => {
      rig.a.send([{ kind: 'tcpConnect', connection: DIALLED, to: rig.endpointB }]);
      await eventually('a has it', () => ofKind(seenA, 'tcpOpened').length === 1);
      await eventually('b has it', () => ofKind(seenB, 'tcpOpened').length === 1);
      return ofKind(seenB, 'tcpOpened')[0]!.connection;
    };

    const entries = (side: 'a' | 'b', connection: number): TableEntry[] => {
      const other = side === 'a' ? 'b' : 'a';
      const id = peerOf(other.repeat(32));
      return [
        { kind: 'peerSet', peer: SLOT, id, session: 0, path: 0 },
        {
          kind: 'sessionInstall',
          session: SESSION[side],
          peer: SLOT,
          remoteIndex: SESSION[other],
          suite: SUITE_AES256GCM,
          tx: keyOf(side === 'a' ? 1 : 2),
          rx: keyOf(side === 'a' ? 2 : 1),
        },
        {
          kind: 'pathSet',
          path: PATH,
          peer: SLOT,
          session: SESSION[side],
          address: down(connection),
          datagramBytes: 1200,
        },
        { kind: 'peerSet', peer: SLOT, id, session: SESSION[side], path: PATH },
      ];
    };
    const join = async (): Promise<number> => {
      const accepted = await connect();
      // As in life: an INIT is what an accepted connection is for.
      rig.a.send([{ kind: 'datagram', to: down(DIALLED), bytes: initOf(rig.meshId) }]);
      await eventually('b hears the INIT', () => ofKind(seenB, 'handshake').length === 1);
      rig.b.apply(entries('b', accepted));
      rig.a.apply(entries('a', DIALLED));
      await eventually('alive', () => ofKind(seenA, 'pathAlive').length === 1);
      return accepted;
    };

    it('opens a connection and tells both ends, each with a number of its kind', async () => {
      const accepted = await connect();
      assert.ok(accepted >= FIRST_ACCEPTED);
      const [opened] = ofKind(seenA, 'tcpOpened');
      assert.deepEqual(opened, { kind: 'tcpOpened', connection: DIALLED, endpoint: rig.endpointB });
      assert.equal(ofKind(seenB, 'tcpOpened')[0]?.endpoint.address, rig.endpointA.address);
    });

    it('says that there is no connection where nobody listens, and where the number is taken', async () => {
      const nobody = { ...rig.endpointB, port: 1 };
      rig.a.send([{ kind: 'tcpConnect', connection: DIALLED, to: nobody }]);
      await eventually('closed', () => ofKind(seenA, 'tcpClosed').length === 1);
      assert.equal(ofKind(seenA, 'tcpClosed')[0]?.connection, DIALLED);
      const accepted = { kind: 'tcpConnect', connection: FIRST_ACCEPTED, to: rig.endpointB };
      rig.a.send([accepted as { kind: 'tcpConnect' } & typeof accepted]);
      await eventually('closed', () => ofKind(seenA, 'tcpClosed').length === 2);
      assert.deepEqual(ofKind(seenA, 'tcpOpened'), []);
    });

    it('carries handshake datagrams both ways', async () => {
      const accepted = await connect();
      rig.a.send([{ kind: 'datagram', to: down(DIALLED), bytes: initOf(rig.meshId) }]);
      await eventually('b hears it', () => ofKind(seenB, 'handshake').length === 1);
      const [event] = ofKind(seenB, 'handshake');
      assert.equal(formatPathAddress(event!.from), formatPathAddress(down(accepted)));
      rig.b.send([{ kind: 'datagram', to: down(accepted), bytes: respOf() }]);
      await eventually('a hears it', () => ofKind(seenA, 'handshake').length === 1);
      assert.deepEqual(new Uint8Array(ofKind(seenA, 'handshake')[0]!.bytes), respOf());
    });

    it('asks a source for a cookie that comes again by another connection', async () => {
      await connect();
      for (let index = 1; index <= 2; index++) {
        const bytes = initOf(rig.meshId, index);
        rig.a.send([{ kind: 'datagram', to: down(DIALLED), bytes }]);
        await eventually('b hears the first', () => ofKind(seenB, 'handshake').length === 1);
      }
      const another = { kind: 'tcpConnect', connection: DIALLED + 1, to: rig.endpointB } as const;
      rig.a.send([another]);
      await eventually('both stand', () => ofKind(seenA, 'tcpOpened').length === 2);
      rig.a.send([{ kind: 'datagram', to: down(DIALLED + 1), bytes: initOf(rig.meshId, 3) }]);
      await eventually('RETRY', () =>
        ofKind(seenA, 'handshake').some(
          ({ from, bytes }) => bytes[0] === 4 && formatPathAddress(from) === `tcp:${DIALLED + 1}`,
        ),
      );
      assert.equal(ofKind(seenB, 'handshake').length, 1);
    });

    it('keeps the clock of the path, answers probes of any size, and is seen from nowhere', async () => {
      await join();
      rig.a.send([{ kind: 'probe', path: PATH, datagramBytes: 9000 }]);
      await eventually('answered', () => ofKind(seenA, 'probeAnswered').length === 1);
      assert.equal(ofKind(seenA, 'probeAnswered')[0]?.datagramBytes, 9000);
      assert.deepEqual(ofKind(seenA, 'observed'), []);
      assert.deepEqual(ofKind(seenB, 'endpointSeen'), []);
    });

    it('carries frames, and control messages larger than the path', async () => {
      await join();
      rig.a.apply([{ kind: 'fdbSet', network: 0, mac: MAC_B, peer: SLOT }]);
      const frame = frameOf(MAC_B, MAC_A, 'by TCP');
      rig.injectA(frame);
      await eventually('b writes it', () => rig.framesB.some((got) => sameFrame(got, frame)));
      const body = new Uint8Array(3000).fill(5);
      rig.b.send([{ kind: 'control', session: SESSION.b, path: 0, type: TYPE, body }]);
      await eventually('a gets it', () => ofKind(seenA, 'control').length === 1);
      assert.equal(ofKind(seenA, 'control')[0]?.body.length, 3000);
    });

    it('tells the other end when one closes', async () => {
      const accepted = await join();
      rig.a.send([{ kind: 'tcpClose', connection: DIALLED }]);
      await eventually('b hears it', () => ofKind(seenB, 'tcpClosed').length === 1);
      assert.equal(ofKind(seenB, 'tcpClosed')[0]?.connection, accepted);
      assert.deepEqual(ofKind(seenA, 'tcpClosed'), []);
    });

    it('closes an accepted connection that brings no handshake within 5 s', async () => {
      await connect();
      assert.equal(await rig.until(() => ofKind(seenB, 'tcpClosed').length > 0, 2500), false);
      await eventually(
        'both hear it',
        () => ofKind(seenA, 'tcpClosed').length + ofKind(seenB, 'tcpClosed').length === 2,
        INIT_WITHIN_MS,
      );
    });
  });
}
