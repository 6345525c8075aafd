import { FakeDataPlane, type FakePayload } from '../../src/dataplane/fake.js';
import { FakeNetwork } from '../../src/dataplane/fake-network.js';
import { SUITE_AES256GCM } from '../../src/dataplane/dataplane.js';
import type { Mac } from '../../src/model/mac.js';
import { SeededRng } from '../sim/seeded-rng.js';
import { VirtualTime } from '../sim/virtual-time.js';
import { describeDataPlane, MAC_A, MAC_B, type Rig } from './data-plane-contract.js';

const PORT = 6783;

const makeRig = (): Promise<Rig> => {
  const time = new VirtualTime();
  const network = new FakeNetwork<FakePayload>(time, new SeededRng(1));
  const meshId = new Uint8Array(16).fill(1);
  const open = (addresses: readonly string[], mac: Mac): FakeDataPlane => {
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
  };
  const a = open(['192.0.2.1'], MAC_A);
  const b = open(['192.0.2.2'], MAC_B);
  const framesB: Uint8Array[] = [];
  b.onFrame((frame) => framesB.push(frame));
  const at = (address: string) => ({ family: 4, address, port: PORT }) as const;
  const rig: Rig = {
    a,
    b,
    endpointA: at('192.0.2.1'),
    endpointB: at('192.0.2.2'),
    meshId,
    injectA: (frame) => {
      a.injectFrame(frame);
    },
    framesB,
    until: (isDone, withinMs) => time.runUntil(isDone, withinMs),
    close: () => {
      a.close();
      b.close();
      return Promise.resolve();
    },
  };
  return Promise.resolve(rig);
};

describeDataPlane('fake', makeRig, { hasFrames: true });
