import { FakeDataPlane, type FakePayload } from '../../src/dataplane/fake.js';
import { FakeNetwork } from '../../src/dataplane/fake-network.js';
import { SUITE_AES256GCM } from '../../src/dataplane/dataplane.js';
import type { Mac } from '../../src/model/mac.js';
import { SeededRng } from '../sim/seeded-rng.js';
import { VirtualTime } from '../sim/virtual-time.js';
import { describeDataPlane, type Rig } from './data-plane-contract.js';
import { describeEthernet } from './ethernet-contract.js';
import { MAC_A, MAC_B, MAC_C } from './fixtures.js';
import { describeNetworks, type NetworkLine } from './networks-contract.js';
import { describeRelay, type Line } from './relay-contract.js';
import { describeTcp } from './tcp-contract.js';

const PORT = 6783;

interface FakeHosts {
  readonly planes: readonly FakeDataPlane[];
  readonly meshId: Uint8Array;
  /** Frames that the first one and the last one wrote. */
  readonly framesOfFirst: readonly Uint8Array[];
  readonly framesOfLast: readonly Uint8Array[];
  readonly until: (isDone: () => boolean, withinMs: number) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

function openHosts(macs: readonly Mac[]): FakeHosts {
  const time = new VirtualTime();
  const network = new FakeNetwork<FakePayload>(time, new SeededRng(1));
  const meshId = new Uint8Array(16).fill(1);
  const planes = macs.map((mac, index) => {
    const addresses = [`192.0.2.${index + 1}`];
    const plane = new FakeDataPlane({ network, addresses, secret: new Uint8Array(16).fill(7) });
    plane.open({
      tapName: 'tap',
      mtuBytes: 1388,
      port: PORT,
      bind: [],
      meshId,
      suites: [SUITE_AES256GCM],
      ownMacs: [mac],
      queuePairs: 0,
    });
    return plane;
  });
  const framesOfFirst: Uint8Array[] = [];
  planes[0]?.onFrame((frame) => framesOfFirst.push(frame));
  const framesOfLast: Uint8Array[] = [];
  planes.at(-1)?.onFrame((frame) => framesOfLast.push(frame));
  return {
    planes,
    meshId,
    framesOfFirst,
    framesOfLast,
    until: (isDone, withinMs) => time.runUntil(isDone, withinMs),
    close: () => {
      for (const plane of planes) plane.close();
      return Promise.resolve();
    },
  };
}

const at = (host: number) => ({ family: 4, address: `192.0.2.${host}`, port: PORT }) as const;

const makeRig = (): Promise<Rig> => {
  const hosts = openHosts([MAC_A, MAC_B]);
  const { meshId, framesOfLast, until, close } = hosts;
  const [a, b] = hosts.planes as [FakeDataPlane, FakeDataPlane];
  return Promise.resolve({
    a,
    b,
    endpointA: at(1),
    endpointB: at(2),
    meshId,
    injectA: (frame) => {
      a.injectFrame(frame);
    },
    framesB: framesOfLast,
    until,
    close,
  });
};

const makeLine = (): Promise<Line> => {
  const hosts = openHosts([MAC_A, MAC_B, MAC_C]);
  const { meshId, framesOfFirst, framesOfLast, until, close } = hosts;
  const [a, b, c] = hosts.planes as [FakeDataPlane, FakeDataPlane, FakeDataPlane];
  return Promise.resolve({
    planes: { a, b, c },
    endpoints: { a: at(1), b: at(2), c: at(3) },
    meshId,
    injectA: (frame) => {
      a.injectFrame(frame);
    },
    framesA: framesOfFirst,
    framesC: framesOfLast,
    until,
    close,
  });
};

const makeNetworkLine = (): Promise<NetworkLine> => {
  const hosts = openHosts([MAC_A, MAC_C]);
  const [a, c] = hosts.planes as [FakeDataPlane, FakeDataPlane];
  const frames = new Map<number, Uint8Array[]>();
  const framesOf = (network: number): Uint8Array[] => {
    const known = frames.get(network) ?? [];
    frames.set(network, known);
    return known;
  };
  c.onFrame((frame, _peer, network) => framesOf(network).push(frame));
  return Promise.resolve({
    planes: { a, c },
    endpoints: { a: at(1), c: at(2) },
    tapOf: (_side, network) => (network === 0 ? 'tap' : `tap${network}`),
    wire: () => Promise.resolve(),
    inject: (network, frame) => {
      a.injectFrame(frame, network);
    },
    framesOf,
    until: hosts.until,
    close: hosts.close,
  });
};

describeDataPlane('fake', makeRig, { hasFrames: true });
describeRelay('fake', makeLine);
describeTcp('fake', makeRig);
describeEthernet('fake', makeLine);
describeNetworks('fake', makeNetworkLine);
